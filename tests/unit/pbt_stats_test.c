/* Welch's test against SciPy 1.17.1: make_pbt_stats.py wrote the numbers. */
#include <math.h>

#include "pbt/stats.h"
#include "tests/test.h"

struct known {
  int n_a, n_b;
  double a[12], b[12], t, df, p;
};
static const struct known known[] = {
#include "tests/unit/pbt_stats_known.h"
};

START_TEST(welch_equals_scipy) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const struct known *k = &known[i];
    struct pbt_welch test = pbt_welch_test(k->a, k->n_a, k->b, k->n_b);
    ck_assert_double_eq_tol(test.t, k->t, 1e-10 * fmax(1, fabs(k->t)));
    ck_assert_double_eq_tol(test.df, k->df, 1e-10 * k->df);
    ck_assert_msg(fabs(test.p - k->p) <= 1e-9 * k->p, "%zu: %.17g, SciPy %.17g", i,
                  test.p, k->p);
  }
}
END_TEST

static const double tail[][3] = {
#include "tests/unit/pbt_student_known.h"
};

START_TEST(students_tail_equals_scipy) {
  for (size_t i = 0; i < sizeof tail / sizeof *tail; i++) {
    double p = pbt_student_tail(tail[i][0], tail[i][1]);
    ck_assert_msg(fabs(p - tail[i][2]) <= 1e-10 * tail[i][2], "t %g, df %g: %.17g, %.17g",
                  tail[i][0], tail[i][1], p, tail[i][2]);
  }
}
END_TEST

START_TEST(what_does_not_vary_is_decided_by_its_means) {
  const double one[] = {1, 1, 1}, two[] = {2, 2, 2};
  ck_assert_double_eq(pbt_welch_test(one, 3, two, 3).p, 0);
  ck_assert_double_eq(pbt_welch_test(two, 3, one, 3).p, 1);
  ck_assert_double_eq(pbt_welch_test(one, 3, one, 3).p, 1);
  ck_assert_double_eq(pbt_welch_test(one, 1, two, 3).p, 1);
}
END_TEST

PBT_TEST_MAIN("stats", welch_equals_scipy, students_tail_equals_scipy,
              what_does_not_vary_is_decided_by_its_means)
