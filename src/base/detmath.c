/*
 * Argument reduction in two parts, then the fdlibm-style polynomials written out from
 * their mathematical definitions: log through atanh's series, exp through its Taylor
 * series on |r| <= ln2/2.  Only + - * / and exact scaling, so every IEEE machine agrees.
 */
#include "base/detmath.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double ln2_high = 0x1.62e42fefa0000p-1; // 33 bits: k * ln2_high is exact
static const double ln2_low = 0x1.cf79abc9e3b3ap-40;

static double scale_by_power(double x, int k) { // x * 2^k, k within +-2000
  while (k > 1000) {
    x *= 0x1p1000;
    k -= 1000;
  }
  while (k < -1000) {
    x *= 0x1p-1000;
    k += 1000;
  }
  uint64_t bits = (uint64_t)(1023 + k) << 52;
  double factor;
  memcpy(&factor, &bits, sizeof factor);
  return x * factor;
}

double pbt_exp(double x) {
  if (x != x) {
    return x;
  }
  if (x > 709.782712893384) {
    return (double)INFINITY;
  }
  if (x < -745.2) {
    return 0.0;
  }
  double scaled = x * 0x1.71547652b82fep0; // 1 / ln 2
  int k = (int)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
  double high = x - k * ln2_high;
  double low = k * ln2_low;
  double r = high - low;
  double rest = (high - r) - low; // what the subtraction lost
  double sum = 0.0;
  for (int i = 17; i >= 2; i--) { // r^2/2! + r^3/3! + ..., Horner
    sum = (sum + 1.0) * r / i;
  }
  /* sum is now (e^r - 1 - r) / r for the terms from r^2/2!, times r below. */
  double tail = sum * r + rest;
  return scale_by_power(1.0 + (r + tail), k);
}

double pbt_log(double x) {
  if (x != x || x < 0.0) {
    return (double)NAN;
  }
  if (x == 0.0) {
    return -(double)INFINITY;
  }
  if (x == (double)INFINITY) {
    return x;
  }
  int k = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    k = -54;
  }
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  k += (int)(bits >> 52) - 1023;
  bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k++;
  }
  /* log m = 2 atanh(s), s = f / (2 + f); as f - s (f - R) it keeps the last bits. */
  double f = m - 1.0;
  double s = f / (2.0 + f);
  double z = s * s;
  double series = 0.0;
  for (int i = 21; i >= 1; i--) {
    series = (series + 1.0 / (2 * i + 1)) * z;
  }
  double r = 2.0 * series; // log m = 2 s + s r
  return k * ln2_high + (f - (s * (f - r) - k * ln2_low));
}

double pbt_pow(double x, double y) {
  return pbt_exp(y * pbt_log(x));
}

static void reduce_quarter(double x, double *r, int *quarter) {
  double scaled = x * 0x1.45f306dc9c883p-1; // 2 / pi
  int k = (int)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
  *r = ((x - k * 0x1.921fb54400000p0) - k * 0x1.0b4611a600000p-34) -
       k * 0x1.3198a2e037073p-69;
  *quarter = k & 3;
}

static double sin_small(double r) {
  double z = r * r;
  double sum = 0.0;
  for (int i = 10; i >= 1; i--) {
    sum = -(1.0 + sum) * z / ((2.0 * i) * (2.0 * i + 1.0));
  }
  return r + r * sum;
}

static double cos_small(double r) {
  double z = r * r;
  double sum = 0.0;
  for (int i = 10; i >= 1; i--) {
    sum = -(1.0 + sum) * z / ((2.0 * i) * (2.0 * i - 1.0));
  }
  return 1.0 + sum;
}

double pbt_sin(double x) {
  double r;
  int quarter;
  reduce_quarter(x, &r, &quarter);
  double value = (quarter & 1) ? cos_small(r) : sin_small(r);
  return (quarter & 2) ? -value : value;
}

double pbt_cos(double x) {
  double r;
  int quarter;
  reduce_quarter(x, &r, &quarter);
  double value = (quarter & 1) ? -sin_small(r) : cos_small(r);
  return (quarter & 2) ? -value : value;
}
