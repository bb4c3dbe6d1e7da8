#include <math.h>
#include <string.h>

#include "pbt/rank.h"
#include "tests/test.h"

static void score(struct pbt_report report[], const double fitness[], int n) {
  memset(report, 0, (size_t)n * sizeof *report);
  for (int i = 0; i < n; i++) {
    report[i].fitness = fitness[i];
  }
}

START_TEST(nan_and_infinities_rank_last_in_both_senses) {
  const double fitness[] = {NAN, 0.5, INFINITY, 0.9, -INFINITY, 0.1};
  struct pbt_report report[6];
  int32_t order[6];
  score(report, fitness, 6);
  ck_assert_int_eq(pbt_rank(report, 6, PBT_MAXIMIZE, 1, 0, order), 3);
  ck_assert(order[0] == 3 && order[1] == 1 && order[2] == 5);
  ck_assert_int_eq(pbt_rank(report, 6, PBT_MINIMIZE, 1, 0, order), 3);
  ck_assert(order[0] == 5 && order[1] == 1 && order[2] == 3);
}
END_TEST

START_TEST(equal_scores_fall_by_a_fair_coin) {
  const double fitness[] = {1, 1};
  struct pbt_report report[2];
  int32_t order[2];
  int first = 0;
  score(report, fitness, 2);
  for (int generation = 0; generation < 10000; generation++) {
    pbt_rank(report, 2, PBT_MAXIMIZE, 3, generation, order);
    first += order[0] == 0;
  }
  ck_assert_int_gt(first, 4800);
  ck_assert_int_lt(first, 5200);
}
END_TEST

START_TEST(nothing_is_better_than_itself) {
  ck_assert(!pbt_better(PBT_MAXIMIZE, 1, 1) && !pbt_better(PBT_MINIMIZE, 1, 1));
  ck_assert(pbt_better(PBT_MAXIMIZE, -1e300, NAN) && !pbt_better(PBT_MAXIMIZE, NAN, 0));
  ck_assert(!pbt_better(PBT_MAXIMIZE, INFINITY, 0) && pbt_better(PBT_MINIMIZE, 1, 2));
}
END_TEST

START_TEST(the_order_is_a_permutation_at_any_size) {
  enum { N = 257 };
  struct pbt_report report[N];
  double fitness[N];
  int32_t order[N];
  for (int i = 0; i < N; i++) {
    fitness[i] = i % 7;
  }
  score(report, fitness, N);
  pbt_rank(report, N, PBT_MAXIMIZE, 9, 4, order);
  bool seen[N] = {false};
  for (int i = 0; i < N; i++) {
    ck_assert(!seen[order[i]]);
    seen[order[i]] = true;
    ck_assert(i == 0 || fitness[order[i - 1]] >= fitness[order[i]]);
  }
}
END_TEST

PBT_TEST_MAIN("rank", nan_and_infinities_rank_last_in_both_senses,
              equal_scores_fall_by_a_fair_coin, nothing_is_better_than_itself,
              the_order_is_a_permutation_at_any_size)
