/* An open network: first weights, its image, and training that can stop anywhere. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"
#include "net/net.h"
#include "tests/test.h"

enum { N = 300, SIDE = 28, PIXELS = SIDE * SIDE, BATCH = 24 };

/* Images of noise with a bright patch where the class says: four classes. */
struct world {
  struct pbt_backend *backend;
  struct pbt_dataset *dataset;
  uint8_t pixel[N * PIXELS], label[N];
};

static struct world *open_world(void) {
  struct world *world = calloc(1, sizeof *world);
  struct pbt_rng rng = pbt_rng_open(1, 0, PBT_RNG_TEST, 0);
  for (int i = 0; i < N; i++) {
    world->label[i] = (uint8_t)(i % 4);
    for (int k = 0; k < PIXELS; k++) {
      int quarter = (k / SIDE >= SIDE / 2) * 2 + (k % SIDE >= SIDE / 2);
      uint32_t noise = pbt_rng_below(&rng, 160);
      world->pixel[i * PIXELS + k] = (uint8_t)(noise + (quarter == i % 4 ? 30 : 0));
    }
  }
  const struct pbt_backend_ops *ops = pbt_backend_find("cpu");
  const struct pbt_backend_options options = {.threads = 1};
  ck_ok(ops->open(&options, &world->backend));
  const struct pbt_images images = {.pixel = world->pixel,
                                    .label = world->label,
                                    .n = N,
                                    .c = 1,
                                    .h = SIDE,
                                    .w = SIDE,
                                    .n_class = 4,
                                    .scale = {1.0f / 64.0f},
                                    .shift = {-1.35f}};
  ck_ok(ops->data_open(world->backend, &images, &world->dataset));
  return world;
}

static void close_world(struct world *world) {
  world->backend->ops->data_close(world->backend, world->dataset);
  world->backend->ops->close(world->backend);
  free(world);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

static struct pbt_net *open_net(struct world *world, uint32_t member) {
  struct pbt_net_spec spec;
  ck_ok(pbt_net_lenet5((struct pbt_shape){1, SIDE, SIDE, 0}, 4, &spec));
  struct pbt_net *net = NULL;
  ck_ok(pbt_net_open(world->backend, &spec, &(struct pbt_net_options){.max_batch = 32},
                     &net));
  ck_ok(pbt_net_init(net, 7, member, 0));
  const struct pbt_hyper hyper = {
      .lr = 0.02f, .momentum = 0.9f, .weight_decay = 1e-3f, .label_smoothing = 0.1f};
  ck_ok(pbt_net_set_hyper(net, &hyper));
  return net;
}

static void train(struct world *world, struct pbt_net *net, int64_t steps,
                  struct pbt_tally *tally) {
  const struct pbt_batch batch = {
      .dataset = world->dataset, .count = 250, .n = BATCH, .shuffle = true};
  ck_ok(pbt_net_train(net, &batch, steps, tally));
}

/* The whole image; free() it. */
static uint8_t *read_image(struct pbt_net *net) {
  uint8_t *image = malloc(pbt_net_state(net)->bytes);
  ck_ok(pbt_net_state_read(net, 0, pbt_net_state(net)->bytes, image));
  return image;
}

static void same_image(struct pbt_net *a, struct pbt_net *b) {
  uint8_t *x = read_image(a), *y = read_image(b);
  ck_assert_mem_eq(x, y, pbt_net_state(a)->bytes);
  free(x);
  free(y);
}

START_TEST(tensors_have_names_roles_and_shapes) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 0);
  const struct pbt_state *state = pbt_net_state(net);
  ck_assert_uint_eq(state->n, 21);
  const struct pbt_tensor *conv = pbt_state_find(state, "conv2/weight");
  const struct pbt_tensor *velocity = pbt_state_find(state, "sgd/velocity/conv2/weight");
  const struct pbt_tensor *step = pbt_state_find(state, "step");
  const int64_t shape[] = {16, 6, 5, 5, 0};
  ck_assert_mem_eq(conv->dim, shape, sizeof shape);
  ck_assert_mem_eq(velocity->dim, shape, sizeof shape);
  ck_assert_int_eq(conv->role, PBT_ROLE_WEIGHT);
  ck_assert_int_eq(velocity->role, PBT_ROLE_OPTIMIZER);
  ck_assert_int_eq(step->role, PBT_ROLE_LOCAL);
  ck_assert_int_eq(step->ndim, 0);
  ck_assert_uint_eq(velocity->offset - conv->offset, state->weight_bytes);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

/* Mean within 5 standard errors of 0 and variance of gain / fan in, layer by layer. */
START_TEST(first_weights_are_he_normals) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 0);
  const struct {
    const char *weight, *bias;
    double fan_in, gain;
  } layer[] = {{"conv1/weight", "conv1/bias", 25, 2},
               {"conv2/weight", "conv2/bias", 150, 2},
               {"dense1/weight", "dense1/bias", 400, 2},
               {"output/weight", "output/bias", 84, 1}};
  uint8_t *image = read_image(net);
  for (int i = 0; i < 4; i++) {
    const struct pbt_tensor *tensor = pbt_state_find(pbt_net_state(net), layer[i].weight);
    const float *w = (float *)(image + tensor->offset);
    double n = (double)pbt_tensor_count(tensor), sum = 0, square = 0;
    for (int64_t k = 0; k < (int64_t)n; k++) {
      sum += (double)w[k];
      square += (double)w[k] * (double)w[k];
    }
    double variance = layer[i].gain / layer[i].fan_in;
    ck_assert_double_lt(fabs(sum / n), 5 * sqrt(variance / n));
    ck_assert_double_lt(fabs(square / n / variance - 1), 5 * sqrt(2 / n));
    tensor = pbt_state_find(pbt_net_state(net), layer[i].bias);
    for (int64_t k = 0; k < pbt_tensor_count(tensor); k++) {
      ck_assert_float_eq(((float *)(image + tensor->offset))[k], 0.0f);
    }
  }
  free(image);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(first_weights_depend_on_seed_member_and_restart_only) {
  struct world *world = open_world();
  struct pbt_net *a = open_net(world, 3), *b = open_net(world, 3);
  same_image(a, b);
  struct pbt_tally tally;
  train(world, b, 3, &tally);
  ck_ok(pbt_net_init(b, 7, 3, 0)); // moments and step go too
  same_image(a, b);
  const struct {
    uint64_t seed;
    uint32_t member;
    uint64_t restart;
  } other[] = {{8, 3, 0}, {7, 4, 0}, {7, 3, 1}};
  uint8_t *x = read_image(a);
  for (int i = 0; i < 3; i++) {
    ck_ok(pbt_net_init(b, other[i].seed, other[i].member, other[i].restart));
    uint8_t *y = read_image(b);
    ck_assert_mem_ne(x, y, 64);
    free(y);
  }
  free(x);
  pbt_net_close(a);
  pbt_net_close(b);
  close_world(world);
}
END_TEST

START_TEST(training_in_slices_equals_training_at_once) {
  struct world *world = open_world();
  struct pbt_net *a = open_net(world, 1), *b = open_net(world, 1);
  struct pbt_tally whole, part, sum = {0};
  train(world, a, 25, &whole); // 2.4 epochs: batches cross epochs
  const int64_t slice[] = {7, 0, 1, 17};
  for (int i = 0; i < 4; i++) {
    train(world, b, slice[i], &part);
    sum.count += part.count;
    sum.correct += part.correct;
    sum.loss += part.loss;
  }
  same_image(a, b);
  ck_assert_int_eq(whole.count, 25 * BATCH);
  ck_assert_int_eq(sum.count, whole.count);
  ck_assert_int_eq(sum.correct, whole.correct);
  ck_assert_double_eq_tol(sum.loss, whole.loss, 1e-9 * whole.loss);
  int64_t step;
  ck_ok(
      pbt_net_state_read(a, pbt_state_find(pbt_net_state(a), "step")->offset, 8, &step));
  ck_assert_int_eq(step, 25);
  pbt_net_close(a);
  pbt_net_close(b);
  close_world(world);
}
END_TEST

START_TEST(a_net_goes_on_from_the_image_of_another) {
  struct world *world = open_world();
  struct pbt_net *a = open_net(world, 1), *b = open_net(world, 1);
  struct pbt_tally tally;
  train(world, a, 9, &tally);
  train(world, b, 4, &tally);
  uint8_t *image = read_image(a);
  size_t half = pbt_net_state(a)->bytes / 2 + 13; // in pieces, as a transfer does
  ck_ok(pbt_net_state_write(b, 0, half, image));
  ck_ok(pbt_net_state_write(b, half, pbt_net_state(a)->bytes - half, image + half));
  free(image);
  train(world, a, 8, &tally);
  train(world, b, 8, &tally);
  same_image(a, b);
  pbt_net_close(a);
  pbt_net_close(b);
  close_world(world);
}
END_TEST

START_TEST(the_map_is_the_image_and_its_gaps_are_zero) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  struct pbt_tally tally;
  train(world, net, 5, &tally);
  uint8_t *image = read_image(net), *map = pbt_net_state_map(net);
  const struct pbt_state *state = pbt_net_state(net);
  ck_assert_ptr_nonnull(map);
  ck_assert_mem_eq(map, image, state->bytes);
  for (size_t i = 0; i < state->n; i++) {
    size_t end = i + 1 < state->n ? state->tensor[i + 1].offset : state->bytes;
    for (size_t k = state->tensor[i].offset + pbt_tensor_bytes(&state->tensor[i]);
         k < end; k++) {
      ck_assert_int_eq(image[k], 0);
    }
  }
  free(image);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(a_range_outside_the_image_is_refused) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  size_t bytes = pbt_net_state(net)->bytes;
  char byte[2];
  ck_fails(pbt_net_state_read(net, bytes - 1, 2, byte), PBT_ERR_INTERNAL, "outside");
  ck_fails(pbt_net_state_write(net, bytes + 1, 0, byte), PBT_ERR_INTERNAL, "outside");
  ck_fails(pbt_net_state_read(net, 8, SIZE_MAX - 4, byte), PBT_ERR_INTERNAL, "outside");
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(scores_count_every_sample_once_and_leave_the_state) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  struct pbt_tally before, after;
  train(world, net, 5, &before);
  uint8_t *image = read_image(net);
  ck_ok(pbt_net_evaluate(net, world->dataset, 250, 45, &before)); // 32 + 13
  uint8_t *same = read_image(net);
  ck_assert_mem_eq(image, same, pbt_net_state(net)->bytes);
  int64_t actual[4] = {0}, predicted = 0, right = 0;
  for (int i = 250; i < 295; i++) {
    actual[world->label[i]]++;
  }
  for (int k = 0; k < 4; k++) {
    ck_assert_int_eq(before.actual[k], actual[k]);
    predicted += before.predicted[k];
    right += before.true_positive[k];
  }
  ck_assert_int_eq(before.count, 45);
  ck_assert_int_eq(predicted, 45);
  ck_assert_int_eq(right, before.correct);
  /* In two parts: the same totals, whatever stood in the lanes before. */
  struct pbt_tally rest;
  ck_ok(pbt_net_evaluate(net, world->dataset, 250, 19, &after));
  ck_ok(pbt_net_evaluate(net, world->dataset, 269, 26, &rest));
  ck_assert_int_eq(after.correct + rest.correct, before.correct);
  ck_assert_double_eq_tol(after.loss + rest.loss, before.loss, 1e-5 * before.loss);
  free(image);
  free(same);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(training_learns) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  struct pbt_tally tally;
  ck_ok(pbt_net_evaluate(net, world->dataset, 250, 50, &tally));
  ck_assert_double_gt(tally.loss / 50, 1.0); // near log 4 or worse
  train(world, net, 120, &tally);
  ck_ok(pbt_net_evaluate(net, world->dataset, 250, 50, &tally));
  ck_assert_int_ge(tally.correct, 48);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(a_rate_of_0_changes_no_weight) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  const struct pbt_hyper still = {.momentum = 0.9f};
  ck_ok(pbt_net_set_hyper(net, &still));
  uint8_t *before = read_image(net);
  struct pbt_tally tally;
  train(world, net, 4, &tally);
  uint8_t *after = read_image(net);
  ck_assert_mem_eq(before, after, pbt_net_state(net)->weight_bytes);
  ck_assert_mem_ne(before, after, pbt_net_state(net)->bytes);
  free(before);
  free(after);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(a_diverged_net_scores_nan_and_is_no_error) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  const struct pbt_hyper wild = {.lr = 1e6f, .momentum = 0.99f};
  ck_ok(pbt_net_set_hyper(net, &wild));
  struct pbt_tally tally;
  train(world, net, 30, &tally);
  ck_assert(!isfinite(tally.loss));
  ck_ok(pbt_net_evaluate(net, world->dataset, 250, 50, &tally));
  ck_assert(!isfinite(tally.loss));
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(steps_and_scores_allocate_nothing) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  int64_t calls = pbt_mem_calls();
  struct pbt_tally tally;
  train(world, net, 5, &tally);
  ck_ok(pbt_net_evaluate(net, world->dataset, 250, 50, &tally));
  ck_assert_int_eq(pbt_mem_calls(), calls);
  ck_assert_uint_gt(pbt_net_bytes(net), 3 * pbt_net_state(net)->weight_bytes);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(a_batch_above_the_limit_is_refused) {
  struct world *world = open_world();
  struct pbt_net *net = open_net(world, 1);
  struct pbt_tally tally;
  const struct pbt_batch batch = {.dataset = world->dataset, .count = 250, .n = 33};
  ck_fails(pbt_net_train(net, &batch, 1, &tally), PBT_ERR_INTERNAL, "was not opened for");
  pbt_net_close(net);
  close_world(world);
}
END_TEST

PBT_TEST_MAIN("net_train", tensors_have_names_roles_and_shapes,
              first_weights_are_he_normals,
              first_weights_depend_on_seed_member_and_restart_only,
              training_in_slices_equals_training_at_once,
              a_net_goes_on_from_the_image_of_another,
              the_map_is_the_image_and_its_gaps_are_zero,
              a_range_outside_the_image_is_refused,
              scores_count_every_sample_once_and_leave_the_state, training_learns,
              a_rate_of_0_changes_no_weight, a_diverged_net_scores_nan_and_is_no_error,
              steps_and_scores_allocate_nothing, a_batch_above_the_limit_is_refused)
