/* lenet5_curve.h - the run whose training curve PyTorch drew too. */
#ifndef PBT_TESTS_GOLDEN_LENET5_CURVE_H
#define PBT_TESTS_GOLDEN_LENET5_CURVE_H

#include "tests/golden/world.h"

enum { CURVE_STEPS = 50, CURVE_BATCH = 64, CURVE_SEED = 1 };

/* 1,000 training images, so that the 50 steps cross three epochs.
 *
 * Two outputs of a convolution that agree to the last bits are a tie that the max-pool
 * may break one way in float and another in double; from there the curves part (1e-3
 * within tens of steps).  Of twelve settings tried (seeds 1 to 6, lr 0.01 and 0.005), ten
 * stayed within 1e-3 of PyTorch for 50 steps; this one, chosen from them, meets no tie on
 * any instruction set, so the curves agree to rounding. */
static inline struct world open_curve(void) {
  const struct pbt_data_source source = {.kind = PBT_SOURCE_DIGITS,
                                         .train_size = 1250,
                                         .test_size = 10,
                                         .validation = 0.2,
                                         .seed = CURVE_SEED};
  struct world world = open_world(&source, CURVE_SEED, CURVE_BATCH);
  const struct pbt_hyper hyper = {
      .lr = 0.01f, .momentum = 0.9f, .weight_decay = 5e-3f, .label_smoothing = 0.1f};
  ck_ok(pbt_net_set_hyper(world.net, &hyper));
  return world;
}

#endif
