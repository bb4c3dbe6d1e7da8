#include "tools/statistics.h"

#include "base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct sample_moments statistics_moments(const double x[], int64_t n) {
  double sum = 0.0, square = 0.0;
  for (int64_t i = 0; i < n; i++) {
    sum += x[i] - x[0]; // so that equal values have exactly their own mean
  }
  double mean = n > 0 ? x[0] + sum / (double)n : 0.0;
  for (int64_t i = 0; i < n; i++) {
    square += (x[i] - mean) * (x[i] - mean);
  }
  return (struct sample_moments){n > 0 ? mean : (double)NAN,
                                 n > 1 ? sqrt(square / (double)(n - 1)) : (double)NAN};
}

/* ---- Student's distribution ---- */

/* The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8),
 * evaluated by Lentz' method. */
static double beta_fraction(double a, double b, double x) {
  enum { TERMS = 100000 };
  const double tiny = 1e-300;
  double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);
  d = 1.0 / (fabs(d) < tiny ? tiny : d);
  double value = d;
  for (int m = 1; m < TERMS; m++) {
    for (int odd = 0; odd < 2; odd++) {
      double term = odd == 0
                        ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                        : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1.0 + term * d;
      d = 1.0 / (fabs(d) < tiny ? tiny : d);
      c = 1.0 + term / c;
      c = fabs(c) < tiny ? tiny : c;
      value *= c * d;
    }
    if (fabs(c * d - 1.0) < 1e-16) {
      break;
    }
  }
  return value;
}

/* I_x(a, b), regularised. */
static double incomplete_beta(double a, double b, double x) {
  if (!(x > 0.0) || !(x < 1.0)) {
    return x >= 1.0 ? 1.0 : x <= 0.0 ? 0.0 : (double)NAN;
  }
  double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
  return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                       : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

struct welch statistics_welch(const double a[], int64_t n_a, const double b[],
                              int64_t n_b) {
  struct welch none = {(double)NAN, (double)NAN, (double)NAN};
  if (n_a < 2 || n_b < 2) {
    return none;
  }
  struct sample_moments x = statistics_moments(a, n_a), y = statistics_moments(b, n_b);
  double u = x.deviation * x.deviation / (double)n_a;
  double v = y.deviation * y.deviation / (double)n_b;
  if (!(u + v > 0.0)) {
    return none;
  }
  double t = (x.mean - y.mean) / sqrt(u + v);
  double freedom =
      (u + v) * (u + v) / (u * u / (double)(n_a - 1) + v * v / (double)(n_b - 1));
  double p = incomplete_beta(0.5 * freedom, 0.5, freedom / (freedom + t * t));
  return (struct welch){t, freedom, p};
}

/* ---- Mann and Whitney ---- */

struct ranked {
  double value;
  bool is_a;
};

static int by_value(const void *a, const void *b) {
  double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
  return (x > y) - (x < y);
}

/* Sum of a's ranks, equal values sharing the mean of theirs; *ties = sum of t^3 - t. */
static double rank_sum(struct ranked all[], int64_t n, double *ties) {
  double sum = 0.0;
  *ties = 0.0;
  qsort(all, (size_t)n, sizeof *all, by_value);
  for (int64_t i = 0, end; i < n; i = end) {
    end = i + 1;
    while (end < n && all[end].value == all[i].value) {
      end++;
    }
    double t = (double)(end - i), rank = 0.5 * (double)(i + 1 + end);
    *ties += t * t * t - t;
    for (int64_t k = i; k < end; k++) {
      sum += all[k].is_a ? rank : 0.0;
    }
  }
  return sum;
}

/* P(U >= u): shares of orders of n_a and n_b values, built up one value of b at a time.
 * way[i][u]: of i values of a and the b so far, the share with this U. */
static pbt_status exact_tail(int64_t n_a, int64_t n_b, double u, double *tail) {
  int64_t width = n_a * n_b + 1;
  double *way;
  PBT_TRY(PBT_NEW((n_a + 1) * width, &way));
  for (int64_t i = 0; i <= n_a; i++) {
    way[i * width] = 1.0; // no b yet: U is 0
  }
  for (int64_t j = 1; j <= n_b; j++) {
    for (int64_t i = 1; i <= n_a; i++) { // way[0] stays: U is 0
      /* The largest is an a (above all j of b) or a b. */
      double is_a = (double)i / (double)(i + j), is_b = (double)j / (double)(i + j);
      double *now = way + i * width, *less = way + (i - 1) * width;
      for (int64_t k = i * j; k >= 0; k--) {
        now[k] = is_b * (k <= i * (j - 1) ? now[k] : 0.0) +
                 is_a * (k >= j ? less[k - j] : 0.0);
      }
    }
  }
  *tail = 0.0;
  for (int64_t k = width - 1; k >= 0 && (double)k >= u - 1e-9; k--) {
    *tail += way[n_a * width + k];
  }
  pbt_mem_free(way);
  return PBT_OK;
}

pbt_status statistics_mann_whitney(const double a[], int64_t n_a, const double b[],
                                   int64_t n_b, struct mann_whitney *result) {
  *result = (struct mann_whitney){(double)NAN, (double)NAN};
  if (n_a < 1 || n_b < 1) {
    return PBT_OK;
  }
  enum { SMALL = 8 };
  struct ranked *all;
  double n = (double)(n_a + n_b), pairs = (double)n_a * (double)n_b, ties;
  PBT_TRY(PBT_NEW(n_a + n_b, &all));
  for (int64_t i = 0; i < n_a + n_b; i++) {
    all[i] = (struct ranked){i < n_a ? a[i] : b[i - n_a], i < n_a};
  }
  double u = rank_sum(all, n_a + n_b, &ties) - 0.5 * (double)n_a * (double)(n_a + 1);
  pbt_mem_free(all);
  double larger = u > pairs - u ? u : pairs - u;
  result->u = u;
  double tail;
  if (ties == 0.0 && (n_a <= SMALL || n_b <= SMALL)) {
    PBT_TRY(exact_tail(n_a, n_b, larger, &tail));
  } else {
    double deviation = sqrt(pairs / 12.0 * (n + 1.0 - ties / (n * (n - 1.0))));
    tail = 0.5 * erfc((larger - 0.5 * pairs - 0.5) / deviation / sqrt(2.0));
  }
  result->p = 2.0 * tail < 1.0 ? 2.0 * tail : 1.0;
  return PBT_OK;
}

/* ---- Holm ---- */

struct place {
  double p;
  int64_t at;
};

static int by_p(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  return (x->p > y->p) - (x->p < y->p);
}

pbt_status statistics_holm(double p[], int64_t n) {
  struct place *place;
  int64_t known = 0;
  PBT_TRY(PBT_NEW(n + 1, &place));
  for (int64_t i = 0; i < n; i++) {
    if (!isnan(p[i])) {
      place[known++] = (struct place){p[i], i};
    }
  }
  qsort(place, (size_t)known, sizeof *place, by_p);
  double least = 0.0; // corrected values never fall
  for (int64_t i = 0; i < known; i++) {
    double corrected = (double)(known - i) * place[i].p;
    least = corrected > least ? corrected : least;
    p[place[i].at] = least < 1.0 ? least : 1.0;
  }
  pbt_mem_free(place);
  return PBT_OK;
}
