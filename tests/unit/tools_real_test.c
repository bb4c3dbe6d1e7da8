/* Numbers as text against the C library's own printing and reading. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/test.h"
#include "tools/real_text.h"

/* The first of three precisions that reads back the same. */
static void by_library(double value, char text[REAL_TEXT]) {
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, REAL_TEXT, "%.*g", digits, value);
    if (strtod(text, NULL) == value) {
      return;
    }
  }
}

static void check(double value) {
  char got[REAL_TEXT], want[REAL_TEXT];
  int length = real_text(value, got);
  by_library(value, want);
  if (strcmp(got, want) != 0 || (int)strlen(got) != length) {
    ck_abort_msg("%s instead of %s", got, want);
  }
}

static void check_around(double value) {
  double at[] = {value, nextafter(value, HUGE_VAL), nextafter(value, -HUGE_VAL), -value};
  for (int i = 0; i < 4; i++) {
    check(at[i]);
  }
}

START_TEST(special_numbers_are_as_the_library_prints_them) {
  const double value[] = {0.0,  -0.0,   1.0,    10.0,     0.1,     0.2,  0.3,    1e-4,
                          1e-5, 5e-324, 1e15,   1e16,     1e17,    1e22, 1e23,   123456.0,
                          0.5,  1e308,  1e-308, 9.995e-5, 99999.5, 1e21, 2.5e-5, 1.0 / 3};
  for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
    char got[REAL_TEXT], want[REAL_TEXT];
    real_text(value[i], got);
    by_library(value[i], want);
    ck_assert_str_eq(got, want);
  }
  for (int two = -1060; two < 1020; two++) {
    check_around(ldexp(1.0, two));
  }
  for (int power = -300; power < 300; power++) {
    check_around(pow(10.0, power));
  }
}
END_TEST

START_TEST(two_million_numbers_are_as_the_library_prints_them) {
  struct pbt_rng rng = pbt_rng_open(1, 0, PBT_RNG_TEST, 0);
  for (int i = 0; i < 500000; i++) {
    double uniform = pbt_rng_uniform(&rng);
    check(uniform);
    check(pow(10.0, 40.0 * uniform - 20.0));
    check((double)pbt_rng_below(&rng, 1000000) / 1000.0);
    uint64_t bits = pbt_rng_u64(&rng);
    double any;
    memcpy(&any, &bits, sizeof any);
    if (isfinite(any)) {
      check(any);
    }
  }
}
END_TEST

PBT_TEST_MAIN("real", special_numbers_are_as_the_library_prints_them,
              two_million_numbers_are_as_the_library_prints_them)
