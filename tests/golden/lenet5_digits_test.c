/*
 * LeNet-5 on the generated digits: what tells the data set apart from one that a linear
 * model can do (tests/unit/data_digits_test.c holds that one below 85 %).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/world.h"

START_TEST(lenet5_reads_97_percent_of_the_digits) {
  const struct pbt_data_source source = {.kind = PBT_SOURCE_DIGITS,
                                         .train_size = 12000,
                                         .test_size = 2000,
                                         .validation = 0.1,
                                         .seed = 1};
  struct world world = open_world(&source, 1, 64);
  ck_assert_double_lt(test_accuracy(&world), 0.25); // untrained: by chance
  for (int k = 0; k < 8; k++) {                     // falling rate, 1,200 steps
    const struct pbt_hyper hyper = {
        .lr = 0.02f * (float)(8 - k) / 8.0f, .momentum = 0.9f, .weight_decay = 1e-4f};
    struct pbt_tally tally;
    ck_ok(pbt_net_set_hyper(world.net, &hyper));
    ck_ok(pbt_net_train(world.net, &world.batch, 150, &tally));
  }
  double accuracy = test_accuracy(&world);
  printf("test accuracy %.4f\n", accuracy);
  ck_assert_double_gt(accuracy, 0.97);
  close_world(&world);
}
END_TEST

PBT_TEST_MAIN("lenet5_digits", lenet5_reads_97_percent_of_the_digits)
