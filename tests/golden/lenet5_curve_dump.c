/*
 * Writes the first weights and the batches of the run in lenet5_curve.h, for
 * make_lenet5_curve.py:
 *
 *   FOLDER/weights  "name ndim dim...\n" and the float32 values, tensor by tensor
 *   FOLDER/batches  for each step 64 x 784 float32, normalised, then 64 bytes of labels
 *
 * The batches come from the contract in backend/backend.h, not from a backend: position p
 * of the stream takes sample permutation(p / count)[p % count].
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/golden/lenet5_curve.h"

static void dump_weights(struct world *world, FILE *out) {
  const struct pbt_state *state = pbt_net_state(world->net);
  for (size_t i = 0; i < state->n; i++) {
    const struct pbt_tensor *tensor = &state->tensor[i];
    if (tensor->role != PBT_ROLE_WEIGHT) {
      continue;
    }
    fprintf(out, "%s %d", tensor->name, tensor->ndim);
    for (int k = 0; k < tensor->ndim; k++) {
      fprintf(out, " %lld", (long long)tensor->dim[k]);
    }
    fputc('\n', out);
    size_t bytes = pbt_tensor_bytes(tensor);
    void *value = malloc(bytes);
    ck_ok(pbt_net_state_read(world->net, tensor->offset, bytes, value));
    fwrite(value, 1, bytes, out);
    free(value);
  }
}

static void dump_batch(const struct world *world, uint64_t step, FILE *out) {
  const struct pbt_data_header *data = world->data;
  const uint8_t *pixel = (const uint8_t *)data + data->pixel_offset;
  const uint8_t *label = (const uint8_t *)data + data->label_offset;
  uint64_t count = (uint64_t)world->batch.count;
  uint8_t labels[CURVE_BATCH];
  for (uint64_t i = 0; i < CURVE_BATCH; i++) {
    uint64_t p = step * CURVE_BATCH + i;
    struct pbt_permutation order =
        pbt_permutation_open(CURVE_SEED, 0, PBT_RNG_SHUFFLE, p / count, count);
    uint64_t sample =
        (uint64_t)world->batch.begin + pbt_permutation_at(&order, p % count);
    float image[784];
    for (int k = 0; k < 784; k++) {
      float value = (float)pixel[sample * 784 + (uint64_t)k] / 255.0f;
      image[k] = (value - data->mean[0]) / data->deviation[0];
    }
    fwrite(image, sizeof *image, 784, out);
    labels[i] = label[sample];
  }
  fwrite(labels, 1, sizeof labels, out);
}

static const char *folder; // from the command line

static FILE *open_out(const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *out = fopen(path, "wb");
  ck_assert_msg(out != NULL, "cannot write %s", path);
  return out;
}

START_TEST(dump) { // a test by form only: world.h asserts
  struct world world = open_curve();
  FILE *weights = open_out("weights");
  dump_weights(&world, weights);
  ck_assert_int_eq(fclose(weights), 0);
  FILE *batches = open_out("batches");
  for (uint64_t step = 0; step < CURVE_STEPS; step++) {
    dump_batch(&world, step, batches);
  }
  ck_assert_int_eq(fclose(batches), 0);
  close_world(&world);
}
END_TEST

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: lenet5_curve_dump FOLDER\n");
    return EXIT_FAILURE;
  }
  folder = argv[1];
  const TTest *const list[] = {dump};
  return pbt_run_suite("lenet5_curve_dump", list, 1, CK_NOFORK);
}
