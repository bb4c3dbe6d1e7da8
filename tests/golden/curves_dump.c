/*
 * Writes what make_curves.py needs of each run in curves.h:
 *
 *   FOLDER/NAME.txt      "KEY VALUE" of the run, then "layer NAME WORDS", layer by layer
 *   FOLDER/NAME.weights  "name ndim dim...\n" and the float32 values, tensor by tensor
 *   FOLDER/NAME.batches  for each step batch x 784 float32, normalised, then the labels'
 *                        bytes; last CURVE_SCORED validation images, likewise
 *
 * The batches come from the contract in backend/backend.h, not from a backend: position p
 * of the stream takes sample permutation(p / count)[p % count].
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "tests/golden/curves.h"

static const char *folder; // from the command line

static FILE *open_out(const char *name, const char *ending) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
  FILE *out = fopen(path, "wb");
  ck_assert_msg(out != NULL, "cannot write %s", path);
  return out;
}

static void dump_facts(const struct curve *curve, const struct pbt_net_spec *spec) {
  const struct pbt_hyper *h = &curve->hyper;
  FILE *out = open_out(curve->name, "txt");
  fprintf(out, "steps %d\nbatch %d\nscored %d\n", curve->steps, curve->batch,
          CURVE_SCORED);
  fprintf(out, "optimizer %d\nnesterov %d\ndecoupled %d\n", curve->options.optimizer,
          curve->options.nesterov, curve->options.decoupled);
  fprintf(out, "lr %.9g\nmomentum %.9g\nbeta1 %.9g\nbeta2 %.9g\nsmoothing %.9g\n",
          (double)h->lr, (double)h->momentum, (double)h->beta1, (double)h->beta2,
          (double)h->smoothing);
  fprintf(out, "epsilon %.9g\nweight_decay %.9g\nclip_norm %.9g\nlabel_smoothing %.9g\n",
          (double)h->epsilon, (double)h->weight_decay, (double)h->clip_norm,
          (double)h->label_smoothing);
  for (int32_t i = 0; i < spec->n_layer; i++) {
    struct pbt_text words = {0};
    pbt_net_layer_words(spec, i, &words);
    fprintf(out, "layer %s %s\n", spec->layer[i].name, words.data);
    pbt_text_free(&words);
  }
  ck_assert_int_eq(fclose(out), 0);
}

static void dump_weights(const struct curve *curve, struct world *world) {
  FILE *out = open_out(curve->name, "weights");
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
  ck_assert_int_eq(fclose(out), 0);
}

static void dump_sample(const struct world *world, uint64_t sample, FILE *out) {
  const struct pbt_data_header *data = world->data;
  const uint8_t *pixel = (const uint8_t *)data + data->pixel_offset + sample * 784;
  float image[784];
  for (int k = 0; k < 784; k++) {
    image[k] = ((float)pixel[k] / 255.0f - data->mean[0]) / data->deviation[0];
  }
  fwrite(image, sizeof *image, 784, out);
}

static uint8_t label_of(const struct world *world, uint64_t sample) {
  return ((const uint8_t *)world->data + world->data->label_offset)[sample];
}

static void dump_batches(const struct curve *curve, const struct world *world) {
  FILE *out = open_out(curve->name, "batches");
  uint64_t count = (uint64_t)world->batch.count, n = (uint64_t)curve->batch;
  for (uint64_t step = 0; step < (uint64_t)curve->steps; step++) {
    uint8_t label[64];
    for (uint64_t i = 0; i < n; i++) {
      uint64_t p = step * n + i;
      struct pbt_permutation order =
          pbt_permutation_open(CURVE_SEED, 0, PBT_RNG_SHUFFLE, p / count, count);
      uint64_t sample =
          (uint64_t)world->batch.begin + pbt_permutation_at(&order, p % count);
      dump_sample(world, sample, out);
      label[i] = label_of(world, sample);
    }
    fwrite(label, 1, n, out);
  }
  int64_t begin, all;
  pbt_data_range(world->data, PBT_SPLIT_VALIDATION, &begin, &all);
  uint8_t label[CURVE_SCORED];
  for (int64_t i = 0; i < CURVE_SCORED; i++) {
    dump_sample(world, (uint64_t)(begin + i), out);
    label[i] = label_of(world, (uint64_t)(begin + i));
  }
  fwrite(label, 1, sizeof label, out);
  ck_assert_int_eq(fclose(out), 0);
}

START_TEST(dump) { // a test by form only: world.h asserts
  for (int i = 0; i < CURVES; i++) {
    struct pbt_net_spec spec;
    struct world world = open_curve(&curves[i], &spec);
    dump_facts(&curves[i], &spec);
    dump_weights(&curves[i], &world);
    dump_batches(&curves[i], &world);
    close_world(&world);
  }
}
END_TEST

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: curves_dump FOLDER\n");
    return EXIT_FAILURE;
  }
  folder = argv[1];
  const TTest *const list[] = {dump};
  return pbt_run_suite("curves_dump", list, 1, CK_NOFORK);
}
