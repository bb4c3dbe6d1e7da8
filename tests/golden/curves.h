/* curves.h - the runs whose training curves PyTorch drew too. */
#ifndef PBT_TESTS_GOLDEN_CURVES_H
#define PBT_TESTS_GOLDEN_CURVES_H

#include "tests/golden/world.h"

enum { CURVE_SEED = 1, CURVE_SCORED = 100 }; // validation images scored at the end

struct curve {
  const char *name;
  int32_t steps, batch;
  double tolerance; // relative, of each step's loss
  const char *layers[20];
  struct pbt_net_options options;
  struct pbt_hyper hyper;
};

#define LENET5                                                                           \
  "conv 6 5x5 pad 2 relu pool 2", "conv 16 5x5 relu pool 2", "dense 120 relu",           \
      "dense 84 relu", "dense classes"
#define MLP "dense 256 relu", "dense 128 relu", "dense classes"
#define EVERY_KIND                                                                       \
  "conv 8 3x3 pad 1 as stem", "norm relu as one", "conv 8 3x3 pad 1",                    \
      "norm add stem relu as two", "conv 16 3x3 stride 2 pad 1", "norm relu",            \
      "conv 16 3x3 pad 1", "norm add two relu as three", "conv 16 1x1 relu",             \
      "add three relu", "pool max 2", "conv 16 3x3 pad 1 relu", "pool mean 3 stride 2",  \
      "dropout", "pool mean all", "dense classes"

/* No layers: ResNet-20.
 *
 * Two outputs of a convolution that agree to the last bits are a tie that the max-pool
 * may break one way in float and another in double; from there the curves part (1e-3
 * within tens of steps).  Of twelve settings tried for the first run (seeds 1 to 6, lr
 * 0.01 and 0.005), ten stayed within 1e-3 of PyTorch for 50 steps; this one, chosen from
 * them, meets no tie on any instruction set, so the curves agree to rounding. */
static const struct curve curves[] = {
    {"lenet5-sgd",
     50,
     64,
     1e-4,
     {LENET5},
     {.optimizer = PBT_SGD},
     {.lr = 0.01f, .momentum = 0.9f, .weight_decay = 5e-3f, .label_smoothing = 0.1f}},
    {"resnet20-sgd",
     10,
     16,
     1e-3,
     {NULL},
     {.optimizer = PBT_SGD},
     {.lr = 1e-3f, .momentum = 0.9f, .weight_decay = 1e-4f}},
    {"lenet5-nesterov-clip",
     10,
     32,
     1e-3,
     {LENET5},
     {.optimizer = PBT_SGD, .nesterov = true},
     {.lr = 0.02f, .momentum = 0.9f, .weight_decay = 1e-3f, .clip_norm = 1.0f}},
    {"mlp-rmsprop",
     10,
     32,
     1e-3,
     {MLP},
     {.optimizer = PBT_RMSPROP},
     {.lr = 2e-4f,
      .momentum = 0.5f,
      .smoothing = 0.9f,
      .epsilon = 1e-6f,
      .weight_decay = 1e-3f}},
    {"lenet5-adam",
     10,
     32,
     1e-3,
     {LENET5},
     {.optimizer = PBT_ADAM},
     {.lr = 5e-4f,
      .beta1 = 0.9f,
      .beta2 = 0.999f,
      .epsilon = 1e-6f,
      .weight_decay = 1e-3f}},
    {"mlp-adamw-clip",
     10,
     32,
     1e-3,
     {MLP},
     {.optimizer = PBT_ADAM, .decoupled = true},
     {.lr = 5e-4f,
      .beta1 = 0.8f,
      .beta2 = 0.95f,
      .epsilon = 1e-6f,
      .weight_decay = 0.1f,
      .clip_norm = 0.5f}},
    {"every-kind-adamw",
     10,
     32,
     1e-3,
     {EVERY_KIND},
     {.optimizer = PBT_ADAM, .decoupled = true},
     {.lr = 5e-4f,
      .beta1 = 0.9f,
      .beta2 = 0.99f,
      .epsilon = 1e-6f,
      .weight_decay = 0.05f}},
};
enum { CURVES = sizeof curves / sizeof *curves };

/* 1,000 training images, so that 50 steps of 64 cross three epochs. */
static inline struct world open_curve(const struct curve *curve,
                                      struct pbt_net_spec *spec) {
  const struct pbt_data_source source = {.kind = PBT_SOURCE_DIGITS,
                                         .train_size = 1250,
                                         .test_size = 10,
                                         .validation = 0.2,
                                         .seed = CURVE_SEED};
  struct world world = open_world(&source, CURVE_SEED, curve->batch);
  pbt_net_close(world.net);
  int32_t n = 0;
  while (curve->layers[n] != NULL) {
    n++;
  }
  struct pbt_shape in = {world.data->c, world.data->h, world.data->w, 0};
  if (n > 0) {
    ck_ok(pbt_net_parse(curve->name, in, world.data->n_class, curve->layers, n, spec));
  } else {
    ck_ok(pbt_net_resnet20(in, world.data->n_class, spec));
  }
  struct pbt_net_options options = curve->options;
  options.max_batch = curve->batch;
  ck_ok(pbt_net_open(world.backend, spec, &options, &world.net));
  ck_ok(pbt_net_init(world.net, CURVE_SEED, 0, 0));
  ck_ok(pbt_net_set_hyper(world.net, &curve->hyper));
  return world;
}

#endif
