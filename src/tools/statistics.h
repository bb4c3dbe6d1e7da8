/*
 * statistics.h - are two groups of runs different?  Pure.
 *
 * Welch's t test does not assume equal variances; Mann and Whitney's U does not assume
 * anything about the distributions.  Holm's correction keeps the chance of even one false
 * alarm in all comparisons below the level.  Results equal SciPy's (tests/tools).
 */
#ifndef PBT_TOOLS_STATISTICS_H
#define PBT_TOOLS_STATISTICS_H

#include <stdint.h>

#include "base/status.h"

struct sample_moments {
  double mean, deviation; // n - 1 in the denominator; NaN for n < 2
};
struct sample_moments statistics_moments(const double x[], int64_t n);

/* Two-sided p; NaN where a group has fewer than two, or neither varies. */
struct welch {
  double t, freedom, p;
};
struct welch statistics_welch(const double a[], int64_t n_a, const double b[],
                              int64_t n_b);

/* Two-sided; exact for small samples (either at most 8) without ties, else the normal
 * approximation with corrections for ties and continuity.  NaN for an empty group. */
struct mann_whitney {
  double u; // of group a
  double p;
};
pbt_status statistics_mann_whitney(const double a[], int64_t n_a, const double b[],
                                   int64_t n_b, struct mann_whitney *result);

/* Corrects p[n] in place for there being n of them; NaNs do not count. */
pbt_status statistics_holm(double p[], int64_t n);

#endif
