/*
 * Student's tail is half the regularised incomplete beta function of (df / 2, 1 / 2) at
 * df / (df + t^2), summed as a continued fraction (Lentz's method; Press et al.,
 * Numerical Recipes, 6.4), over base/detmath and a Lanczos logarithm of gamma.
 */
#include "pbt/stats.h"

#include "base/detmath.h"

#include <math.h>

static double log_gamma(double x) { // x >= 0.5
  static const double c[] = {
      0.99999999999980993,  676.5203681218851,     -1259.1392167224028,
      771.32342877765313,   -176.61502916214059,   12.507343278686905,
      -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7};
  double sum = c[0], z = x - 1.0, base = z + 7.5;
  for (int i = 1; i < 9; i++) {
    sum += c[i] / (z + i);
  }
  return 0.91893853320467274 + (z + 0.5) * pbt_log(base) - base + pbt_log(sum);
}

static double away_from_0(double x) {
  return fabs(x) < 1e-300 ? 1e-300 : x;
}

static double beta_fraction(double a, double b, double x) {
  double c = 1.0, d = 1.0 / away_from_0(1.0 - (a + b) * x / (a + 1.0)), f = d;
  for (int m = 1; m < 500; m++) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1.0 / away_from_0(1.0 + even * d);
    c = away_from_0(1.0 + even / c);
    f *= c * d;
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1.0 / away_from_0(1.0 + odd * d);
    c = away_from_0(1.0 + odd / c);
    f *= c * d;
    if (fabs(c * d - 1.0) < 1e-15) {
      break;
    }
  }
  return f;
}

/* x and its complement are given apart, so that neither is lost in the other. */
static double beta_share(double a, double b, double x, double rest) {
  if (x <= 0.0) {
    return 0.0;
  }
  if (rest <= 0.0) {
    return 1.0;
  }
  double front = pbt_exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * pbt_log(x) +
                         b * pbt_log(rest));
  if (x < (a + 1.0) / (a + b + 2.0)) {
    return front * beta_fraction(a, b, x) / a;
  }
  return 1.0 - front * beta_fraction(b, a, rest) / b;
}

double pbt_student_tail(double t, double df) {
  if (isinf(t)) {
    return t > 0.0 ? 0.0 : 1.0;
  }
  double square = t * t;
  double half =
      0.5 * beta_share(0.5 * df, 0.5, df / (df + square), square / (df + square));
  return t > 0.0 ? half : 1.0 - half;
}

static double mean_of(const double x[], int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) {
    sum += x[i];
  }
  return sum / (double)n;
}

/* Square of the mean's standard error. */
static double error_of(const double x[], int64_t n, double mean) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) {
    sum += (x[i] - mean) * (x[i] - mean);
  }
  return sum / (double)(n - 1) / (double)n;
}

struct pbt_welch pbt_welch_test(const double a[], int64_t n_a, const double b[],
                                int64_t n_b) {
  struct pbt_welch test = {.t = 0.0, .df = 1.0, .p = 1.0};
  if (n_a < 2 || n_b < 2) {
    return test;
  }
  double mean_a = mean_of(a, n_a), mean_b = mean_of(b, n_b);
  double error_a = error_of(a, n_a, mean_a), error_b = error_of(b, n_b, mean_b);
  double error = error_a + error_b;
  if (error <= 0.0) {
    if (mean_a != mean_b) {
      test.t = mean_b > mean_a ? HUGE_VAL : -HUGE_VAL;
      test.p = mean_b > mean_a ? 0.0 : 1.0;
    }
    return test;
  }
  test.t = (mean_b - mean_a) / sqrt(error);
  test.df =
      error * error /
      (error_a * error_a / (double)(n_a - 1) + error_b * error_b / (double)(n_b - 1));
  test.p = pbt_student_tail(test.t, test.df);
  return test;
}
