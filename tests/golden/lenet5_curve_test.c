/*
 * The training curve of LeNet-5, step by step, against PyTorch's in double precision from
 * the same weights and batches (make_lenet5_curve.py).  Everything has to be right for
 * that: normalisation, order of samples, layers, label smoothing, momentum, weight decay.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/lenet5_curve.h"

START_TEST(fifty_steps_agree_with_pytorch) {
  FILE *file = fopen(LENET5_CURVE, "r");
  ck_assert_ptr_nonnull(file);
  struct world world = open_curve();
  char line[256];
  int step = 0;
  double worst = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    double smooth, plain;
    int number;
    if (sscanf(line, "%d %lf %lf", &number, &smooth, &plain) != 3) {
      continue; // a remark
    }
    ck_assert_int_eq(number, step++);
    struct pbt_tally tally;
    ck_ok(pbt_net_train(world.net, &world.batch, 1, &tally));
    ck_assert_int_eq(tally.count, CURVE_BATCH);
    double ours = tally.loss / CURVE_BATCH;
    double error = fabs(ours - smooth) / smooth;
    ck_assert_msg(error < 1e-4, "step %d: loss %.9f, PyTorch %.9f", number, ours, smooth);
    worst = error > worst ? error : worst;
  }
  fclose(file);
  ck_assert_int_eq(step, CURVE_STEPS);
  printf("largest relative difference %.1e\n", worst);
  close_world(&world);
}
END_TEST

PBT_TEST_MAIN("lenet5_curve", fifty_steps_agree_with_pytorch)
