/*
 * Training curves, step by step, against PyTorch's in double precision from the same
 * weights and batches (make_curves.py).  Everything has to be right for that:
 * normalisation, order of samples, layers, label smoothing, running statistics, decay,
 * moments, clipping.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/curves.h"

/* The losses of one curve: its steps, then that of scoring. */
static int read_curve(const char *name, double loss[]) {
  FILE *file = fopen(CURVES_TXT, "r");
  ck_assert_ptr_nonnull(file);
  char line[256], word[64];
  int n = 0, number;
  double value;
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "%63s %d %lf", word, &number, &value) == 3 &&
        strcmp(word, name) == 0) {
      ck_assert_int_eq(number, n);
      loss[n++] = value;
    }
  }
  fclose(file);
  return n;
}

static void follow(const struct curve *curve) {
  double want[64], worst = 0;
  ck_assert_int_eq(read_curve(curve->name, want), curve->steps + 1);
  struct pbt_net_spec spec;
  struct world world = open_curve(curve, &spec);
  for (int step = 0; step <= curve->steps; step++) {
    struct pbt_tally tally;
    if (step < curve->steps) {
      ck_ok(pbt_net_train(world.net, &world.batch, 1, &tally));
    } else {
      int64_t begin, count;
      pbt_data_range(world.data, PBT_SPLIT_VALIDATION, &begin, &count);
      ck_ok(pbt_net_evaluate(world.net, world.dataset, begin, CURVE_SCORED, &tally));
    }
    double ours = tally.loss / (double)tally.count;
    double error = fabs(ours - want[step]) / want[step];
    ck_assert_msg(error < curve->tolerance, "%s, step %d: loss %.9f, PyTorch %.9f",
                  curve->name, step, ours, want[step]);
    worst = error > worst ? error : worst;
  }
  printf("%-22s largest relative difference %.1e\n", curve->name, worst);
  close_world(&world);
}

START_TEST(curves_agree_with_pytorch) {
  for (int i = 0; i < CURVES; i++) {
    follow(&curves[i]);
  }
}
END_TEST

PBT_TEST_MAIN("curves", curves_agree_with_pytorch)
