/*
 * A double between 1e-9 and 1e25 times or over a power of ten that a long double of 64
 * bits holds exactly is off by 2^-64 of itself, so rounding gives its 17 digits.  Fewer
 * digits are good where they, put back, lie clearly closer to the value than half-way to
 * its neighbour.  What is not clear, and other magnitudes, or narrower long doubles, go
 * to the C library.
 */
#include "tools/real_text.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 17, LEAST = 15, MOST_POWER = 27 }; // 5^27 has 63 bits

/* 10 to MOST less the digits wanted. */
static const uint64_t ten[] = {1ull, 10ull, 100ull};

static int by_library(double value, char text[REAL_TEXT]) {
  int n = 0;
  for (int digits = LEAST; digits <= MOST; digits++) {
    n = snprintf(text, REAL_TEXT, "%.*g", digits, value);
    if (digits == MOST || strtod(text, NULL) == value) {
      break;
    }
  }
  return n;
}

static long double power(int exponent) {
  static const long double small[] = {1e0L, 1e1L, 1e2L, 1e3L,  1e4L,  1e5L,  1e6L,
                                      1e7L, 1e8L, 1e9L, 1e10L, 1e11L, 1e12L, 1e13L};
  return exponent < 14 ? small[exponent] : small[13] * power(exponent - 13);
}

/* x times 10^exponent. */
static long double scaled(long double x, int exponent) {
  return exponent >= 0 ? x * power(exponent) : x / power(-exponent);
}

struct decimal {
  long double scaled; // 10^16 <= scaled < 10^17, before any rounding
  int exponent;       // of the first digit
};

static bool split(double value, struct decimal *decimal) {
  const long double least = 1e16L, most = 1e17L;
  int two;
  frexp(value, &two);
  int exponent = (int)floor((two - 1) * 0.30102999566398120);
  for (int attempt = 0; attempt < 3; attempt++) {
    int shift = MOST - 1 - exponent;
    if (shift > MOST_POWER || shift < -MOST_POWER) {
      return false;
    }
    long double x = scaled(value, shift);
    if (x >= least && x < most) {
      *decimal = (struct decimal){x, exponent};
      return true;
    }
    exponent += x < least ? -1 : 1;
  }
  return false;
}

enum verdict { NO, YES, UNCLEAR };

/* Is the distance less than half-way?  `doubt` is what rounding may have done to it. */
static enum verdict within(long double distance, long double half, long double doubt) {
  return distance < half - doubt ? YES : (distance > half + doubt ? NO : UNCLEAR);
}

/* The value in units of its last digit, to the nearest; false: too near to half-way. */
static bool round_to(long double x, uint64_t *digits) {
  long double whole = floorl(x), part = x - whole;
  enum verdict down = within(part, 0.5L, 0.01L);
  *digits = (uint64_t)whole + (down == NO);
  return down != UNCLEAR;
}

/* Does it read back as the value? */
static enum verdict is_same(uint64_t digits, int exponent, double value) {
  int two;
  bool at_power = frexp(value, &two) == 0.5;
  long double put_back = scaled((long double)digits, exponent - (MOST - 1));
  long double step = ldexpl(1.0L, two - DBL_MANT_DIG);
  /* Below a power of two the neighbour is half as far. */
  long double half = at_power && put_back < value ? 0.25L * step : 0.5L * step;
  return within(fabsl(put_back - value), half, 0.002L * step);
}

static int put_exponent(int exponent, char *at) {
  int size = exponent < 0 ? -exponent : exponent;
  at[0] = 'e';
  at[1] = exponent < 0 ? '-' : '+';
  at[2] = (char)('0' + size / 10);
  at[3] = (char)('0' + size % 10);
  return 4;
}

/* Laid out as %g does with this precision. */
static int lay_out(uint64_t digits, int exponent, int precision, bool negative,
                   char *text) {
  char digit[MOST];
  int n = MOST, length = 0;
  for (int i = MOST - 1; i >= 0; i--, digits /= 10) {
    digit[i] = (char)('0' + digits % 10);
  }
  while (n > 1 && digit[n - 1] == '0') {
    n--;
  }
  if (negative) {
    text[length++] = '-';
  }
  bool scientific = exponent < -4 || exponent >= precision;
  int before = scientific ? 1 : exponent + 1; // digits before the point
  if (before <= 0) {
    text[length++] = '0';
    text[length++] = '.';
    memset(text + length, '0', (size_t)-before);
    length += -before;
  }
  for (int i = 0; i < n || i < before; i++) {
    if (i == before && i > 0) {
      text[length++] = '.';
    }
    text[length++] = i < n ? digit[i] : '0';
  }
  if (scientific) {
    length += put_exponent(exponent, text + length);
  }
  text[length] = '\0';
  return length;
}

int real_text(double value, char text[REAL_TEXT]) {
  struct decimal decimal;
  double size = fabs(value);
  if (value == 0.0) {
    strcpy(text, signbit(value) ? "-0" : "0");
    return (int)strlen(text);
  }
  if (LDBL_MANT_DIG < 64 || !split(size, &decimal)) {
    return by_library(value, text);
  }
  for (int precision = LEAST; precision <= MOST; precision++) {
    uint64_t unit = ten[MOST - precision], digits;
    if (!round_to(decimal.scaled / (long double)unit, &digits)) {
      break;
    }
    digits *= unit;
    enum verdict same = is_same(digits, decimal.exponent, size);
    if (same == UNCLEAR) {
      break;
    }
    if (same == YES) {
      bool carried = digits == 100000000000000000ull; // to the next power of ten
      return lay_out(carried ? digits / 10 : digits, decimal.exponent + carried,
                     precision, value < 0.0, text);
    }
  }
  return by_library(value, text);
}
