/*
 * Networks with every kind of layer and every optimiser: their state is all there is to
 * them, threads change nothing, and what is for training stays out of scoring.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"
#include "tests/test.h"

enum { N = 160, SIDE = 12, PIXELS = 3 * SIDE * SIDE, BATCH = 21 };

static const char *const layers[] = {"conv 8 3x3 pad 1 as stem",
                                     "norm relu as one",
                                     "conv 8 3x3 pad 1",
                                     "norm add stem relu as two",
                                     "conv 16 3x3 stride 2 pad 1",
                                     "norm relu",
                                     "conv 16 3x3 pad 1",
                                     "norm add two relu as three",
                                     "conv 16 1x1 relu",
                                     "add three relu",
                                     "pool max 2",
                                     "conv 16 3x3 pad 1 relu",
                                     "dropout",
                                     "pool mean all",
                                     "dense classes"};
enum { LAYERS = sizeof layers / sizeof *layers };

struct world {
  struct pbt_backend *backend;
  struct pbt_dataset *dataset;
  uint8_t pixel[N * PIXELS], label[N];
};

/* Noise with a bright half where the class says; `only` >= 0: this class alone. */
static struct world *open_world(int threads, int only) {
  struct world *world = calloc(1, sizeof *world);
  struct pbt_rng rng = pbt_rng_open(1, 0, PBT_RNG_TEST, 0);
  for (int i = 0; i < N; i++) {
    world->label[i] = (uint8_t)(only >= 0 ? only : i % 4);
    for (int k = 0; k < PIXELS; k++) {
      int quarter = (k % (SIDE * SIDE) >= SIDE * SIDE / 2) * 2 + (k % SIDE >= SIDE / 2);
      uint32_t noise = pbt_rng_below(&rng, 160);
      world->pixel[i * PIXELS + k] = (uint8_t)(noise + (quarter == i % 4 ? 60 : 0));
    }
  }
  const struct pbt_backend_ops *ops = pbt_backend_find("cpu");
  const struct pbt_backend_options options = {.threads = threads};
  ck_ok(ops->open(&options, &world->backend));
  const struct pbt_images images = {.pixel = world->pixel,
                                    .label = world->label,
                                    .n = N,
                                    .c = 3,
                                    .h = SIDE,
                                    .w = SIDE,
                                    .n_class = 4,
                                    .scale = {0.015f, 0.015f, 0.015f},
                                    .shift = {-1.4f, -1.4f, -1.4f}};
  ck_ok(ops->data_open(world->backend, &images, &world->dataset));
  return world;
}

static void close_world(struct world *world) {
  world->backend->ops->data_close(world->backend, world->dataset);
  world->backend->ops->close(world->backend);
  free(world);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

static const struct pbt_hyper usual = {.lr = 0.01f,
                                       .momentum = 0.9f,
                                       .beta1 = 0.9f,
                                       .beta2 = 0.99f,
                                       .smoothing = 0.95f,
                                       .epsilon = 1e-6f,
                                       .weight_decay = 1e-3f,
                                       .clip_norm = 2.0f,
                                       .dropout = 0.3f};

static struct pbt_net *open_net(struct world *world, struct pbt_net_options options) {
  struct pbt_net_spec spec;
  ck_ok(pbt_net_parse("deep", (struct pbt_shape){3, SIDE, SIDE, 0}, 4, layers, LAYERS,
                      &spec));
  options.max_batch = 32;
  struct pbt_net *net = NULL;
  ck_ok(pbt_net_open(world->backend, &spec, &options, &net));
  ck_ok(pbt_net_init(net, 7, 1, 0));
  ck_ok(pbt_net_set_hyper(net, &usual));
  return net;
}

static double train(struct world *world, struct pbt_net *net, int64_t steps) {
  const struct pbt_batch batch = {
      .dataset = world->dataset, .count = 120, .n = BATCH, .shuffle = true};
  struct pbt_tally tally;
  ck_ok(pbt_net_train(net, &batch, steps, &tally));
  return tally.loss / (double)tally.count;
}

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

static const struct pbt_net_options each[] = {{.optimizer = PBT_SGD, .nesterov = true},
                                              {.optimizer = PBT_RMSPROP},
                                              {.optimizer = PBT_ADAM},
                                              {.optimizer = PBT_ADAM, .decoupled = true}};
enum { EACH = sizeof each / sizeof *each };

START_TEST(the_image_is_all_that_training_goes_on_from) {
  struct world *world = open_world(1, -1);
  for (int k = 0; k < EACH; k++) {
    struct pbt_net *a = open_net(world, each[k]), *b = open_net(world, each[k]);
    train(world, a, 9); // in one slice, in three, and from an image of another
    train(world, b, 2);
    train(world, b, 0);
    train(world, b, 7);
    same_image(a, b);
    uint8_t *image = read_image(a);
    ck_ok(pbt_net_init(b, 7, 1, 3));
    train(world, b, 4);
    ck_ok(pbt_net_state_write(b, 0, pbt_net_state(b)->bytes, image));
    free(image);
    train(world, a, 6);
    train(world, b, 6);
    same_image(a, b);
    pbt_net_close(a);
    pbt_net_close(b);
  }
  close_world(world);
}
END_TEST

START_TEST(threads_change_no_bit) {
  struct world *one = open_world(1, -1), *three = open_world(3, -1);
  for (int k = 0; k < EACH; k++) {
    struct pbt_net *a = open_net(one, each[k]), *b = open_net(three, each[k]);
    ck_assert_double_eq(train(one, a, 5), train(three, b, 5));
    same_image(a, b);
    pbt_net_close(a);
    pbt_net_close(b);
  }
  three->backend->ops->data_close(three->backend, three->dataset);
  three->backend->ops->close(three->backend);
  free(three);
  close_world(one);
}
END_TEST

START_TEST(it_learns_with_every_optimiser) {
  struct world *world = open_world(1, -1);
  for (int k = 0; k < EACH; k++) {
    struct pbt_net *net = open_net(world, each[k]);
    struct pbt_hyper hyper = usual;
    hyper.lr = k == 0 ? 0.05f : 0.003f;
    ck_ok(pbt_net_set_hyper(net, &hyper));
    double first = train(world, net, 1);
    train(world, net, 80);
    struct pbt_tally tally;
    ck_ok(pbt_net_evaluate(net, world->dataset, 120, 40, &tally));
    ck_assert_msg(tally.correct >= 34 && tally.loss / 40 < 0.7 * first,
                  "optimiser %d: %d of 40 right, loss %g of %g", k, (int)tally.correct,
                  tally.loss / 40, first);
    pbt_net_close(net);
  }
  close_world(world);
}
END_TEST

START_TEST(tensors_stand_in_the_order_of_their_roles) {
  struct world *world = open_world(1, -1);
  struct pbt_net *net = open_net(world, each[2]);
  const struct pbt_state *state = pbt_net_state(net);
  const struct {
    const char *name;
    enum pbt_role role;
    enum pbt_dtype type;
    int64_t count;
  } want[] = {{"stem/weight", PBT_ROLE_WEIGHT, PBT_F32, 8 * 27},
              {"one/bias", PBT_ROLE_WEIGHT, PBT_F32, 8},
              {"adam/m/two/weight", PBT_ROLE_OPTIMIZER, PBT_F32, 8},
              {"adam/s/output/weight", PBT_ROLE_OPTIMIZER, PBT_F32, 64},
              {"adam/weight_sum", PBT_ROLE_OPTIMIZER, PBT_F64, 2},
              {"three/mean", PBT_ROLE_BUFFER, PBT_F32, 16},
              {"three/variance", PBT_ROLE_BUFFER, PBT_F32, 16},
              {"step", PBT_ROLE_LOCAL, PBT_I64, 1}};
  const struct pbt_tensor *before = NULL;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    const struct pbt_tensor *tensor = pbt_state_find(state, want[i].name);
    ck_assert_msg(tensor != NULL, "no %s", want[i].name);
    ck_assert_int_eq(tensor->role, want[i].role);
    ck_assert_int_eq(tensor->dtype, want[i].type);
    ck_assert_int_eq(pbt_tensor_count(tensor), want[i].count);
    ck_assert(before == NULL || before < tensor);
    before = tensor;
  }
  ck_assert_ptr_null(pbt_state_find(state, "stem/bias")); // a norm reads it
  ck_assert_ptr_nonnull(pbt_state_find(state, "conv5/bias"));
  const char *const parts[] = {"stem/weight", "conv5/bias", "output/weight"};
  for (int i = 0; i < 3; i++) { // moments lie as the weights do
    char name[64];
    size_t at = pbt_state_find(state, parts[i])->offset;
    snprintf(name, sizeof name, "adam/m/%s", parts[i]);
    ck_assert_uint_eq(pbt_state_find(state, name)->offset, at + state->weight_bytes);
    snprintf(name, sizeof name, "adam/s/%s", parts[i]);
    ck_assert_uint_eq(pbt_state_find(state, name)->offset, at + 2 * state->weight_bytes);
  }
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(running_statistics_begin_at_0_and_1_and_travel) {
  struct world *world = open_world(1, -1);
  struct pbt_net *net = open_net(world, each[0]);
  const struct pbt_state *state = pbt_net_state(net);
  const struct pbt_tensor *mean = pbt_state_find(state, "one/mean");
  const struct pbt_tensor *variance = pbt_state_find(state, "one/variance");
  float m[8], v[8];
  ck_ok(pbt_net_state_read(net, mean->offset, sizeof m, m));
  ck_ok(pbt_net_state_read(net, variance->offset, sizeof v, v));
  ck_assert(m[3] == 0 && v[3] == 1);
  ck_assert_uint_lt(variance->offset, state->travel_bytes);
  train(world, net, 3);
  ck_ok(pbt_net_state_read(net, mean->offset, sizeof m, m));
  ck_ok(pbt_net_state_read(net, variance->offset, sizeof v, v));
  ck_assert(m[3] != 0 && v[3] != 1);
  uint8_t *before = read_image(net);
  struct pbt_tally tally;
  ck_ok(pbt_net_evaluate(net, world->dataset, 120, 40, &tally)); // scoring moves nothing
  uint8_t *after = read_image(net);
  ck_assert_mem_eq(before, after, state->bytes);
  free(before);
  free(after);
  pbt_net_close(net);
  close_world(world);
}
END_TEST

START_TEST(dropout_is_for_training_only) {
  struct world *world = open_world(1, -1);
  double score[2], loss[2];
  for (int k = 0; k < 2; k++) {
    struct pbt_net *net = open_net(world, each[0]);
    struct pbt_hyper hyper = usual;
    hyper.dropout = k == 1 ? 0.5f : 0.0f;
    ck_ok(pbt_net_set_hyper(net, &hyper));
    struct pbt_tally tally;
    ck_ok(pbt_net_evaluate(net, world->dataset, 120, 40, &tally));
    score[k] = tally.loss;
    loss[k] = train(world, net, 1);
    pbt_net_close(net);
  }
  ck_assert_double_eq(score[0], score[1]);
  ck_assert_double_ne(loss[0], loss[1]);
  close_world(world);
}
END_TEST

/* One class alone, of weight 4: as four times the rate.  Of weight 0: nothing moves. */
START_TEST(class_weights_scale_each_class_gradient) {
  struct world *world = open_world(1, 2);
  const float none[] = {1, 1, 0, 1}, four[] = {1, 1, 4, 1};
  struct pbt_hyper hyper = {.lr = 0.01f, .momentum = 0.5f};
  struct pbt_net *fast = open_net(world, (struct pbt_net_options){0});
  struct pbt_net *heavy = open_net(world, (struct pbt_net_options){.class_weight = four});
  struct pbt_net *still = open_net(world, (struct pbt_net_options){.class_weight = none});
  ck_ok(pbt_net_set_hyper(heavy, &hyper));
  ck_ok(pbt_net_set_hyper(still, &hyper));
  hyper.lr = 0.04f;
  ck_ok(pbt_net_set_hyper(fast, &hyper));
  size_t bytes = pbt_net_state(fast)->weight_bytes;
  uint8_t *at_first = read_image(still);
  double a = train(world, fast, 3), b = train(world, heavy, 3);
  train(world, still, 3);
  ck_assert_double_eq_tol(a, b, 1e-6);
  const float *x = pbt_net_state_map(fast), *y = pbt_net_state_map(heavy);
  for (size_t i = 0; i < bytes / sizeof *x; i++) {
    ck_assert_float_eq_tol(x[i], y[i], 1e-6f);
  }
  ck_assert_mem_eq(at_first, pbt_net_state_map(still), bytes);
  free(at_first);
  pbt_net_close(fast);
  pbt_net_close(heavy);
  pbt_net_close(still);
  close_world(world);
}
END_TEST

START_TEST(no_step_takes_memory) {
  struct world *world = open_world(1, -1);
  for (int k = 0; k < EACH; k++) {
    struct pbt_net *net = open_net(world, each[k]);
    int64_t calls = pbt_mem_calls();
    struct pbt_tally tally;
    train(world, net, 2);
    ck_ok(pbt_net_evaluate(net, world->dataset, 120, 40, &tally));
    ck_assert_int_eq(pbt_mem_calls(), calls);
    pbt_net_close(net);
  }
  close_world(world);
}
END_TEST

PBT_TEST_MAIN("net_deep", the_image_is_all_that_training_goes_on_from,
              threads_change_no_bit, it_learns_with_every_optimiser,
              tensors_stand_in_the_order_of_their_roles,
              running_statistics_begin_at_0_and_1_and_travel,
              dropout_is_for_training_only, class_weights_scale_each_class_gradient,
              no_step_takes_memory)
