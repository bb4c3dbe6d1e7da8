/*
 * stats.h - Welch's t-test, with the same bits on every machine.  Pure.
 */
#ifndef PBT_PBT_STATS_H
#define PBT_PBT_STATS_H

#include <stdint.h>

struct pbt_welch {
  double t;  // (mean b - mean a) / standard error; +-infinity if neither varies
  double df; // Welch-Satterthwaite
  double p;  // one-sided: of a t as large or larger, were the means equal
};

/* Is the mean of b above that of a?  With fewer than two values on a side, or no
 * difference at all, p is 1. */
struct pbt_welch pbt_welch_test(const double a[], int64_t n_a, const double b[],
                                int64_t n_b);

/* P(T > t) of Student's distribution with df degrees of freedom. */
double pbt_student_tail(double t, double df);

#endif
