#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/detmath.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"
#include "tests/test.h"

/* Known answer of the Random123 distribution (kat_vectors): counter 0, key 0. */
START_TEST(philox_gives_the_published_words) {
  struct pbt_rng rng = pbt_rng_open(0, 0, 0, 0);
  ck_assert_uint_eq(pbt_rng_u32(&rng), 0x6627e8d5);
  ck_assert_uint_eq(pbt_rng_u32(&rng), 0xe169c58d);
  ck_assert_uint_eq(pbt_rng_u32(&rng), 0xbc57ac4c);
  ck_assert_uint_eq(pbt_rng_u32(&rng), 0x9b00dbd8);
}
END_TEST

START_TEST(a_permutation_visits_everything_once) {
  const uint64_t size[] = {1, 2, 3, 64, 1000, 50000};
  for (size_t k = 0; k < 6; k++) {
    char *seen = calloc(size[k], 1);
    struct pbt_permutation p = pbt_permutation_open(7, 3, PBT_RNG_SHUFFLE, k, size[k]);
    for (uint64_t i = 0; i < size[k]; i++) {
      uint64_t to = pbt_permutation_at(&p, i);
      ck_assert_uint_lt(to, size[k]);
      ck_assert_int_eq(seen[to], 0);
      seen[to] = 1;
    }
    free(seen);
  }
}
END_TEST

/* Where does item 0 go?  Over many epochs every place is equally likely: chi-squared with
 * 99 degrees of freedom stays below its 99.99 % quantile. */
START_TEST(permutations_are_spread_evenly) {
  int count[100] = {0};
  for (uint64_t epoch = 0; epoch < 20000; epoch++) {
    struct pbt_permutation p = pbt_permutation_open(1, 0, PBT_RNG_SHUFFLE, epoch, 100);
    count[pbt_permutation_at(&p, 0)]++;
  }
  double chi = 0;
  for (int i = 0; i < 100; i++) {
    chi += (count[i] - 200.0) * (count[i] - 200.0) / 200.0;
  }
  ck_assert_double_lt(chi, 161.3);
}
END_TEST

START_TEST(streams_differ_by_every_part_of_their_name) {
  struct pbt_rng a = pbt_rng_open(1, 2, PBT_RNG_INIT, 3);
  const struct pbt_rng other[] = {
      pbt_rng_open(2, 2, PBT_RNG_INIT, 3), pbt_rng_open(1, 3, PBT_RNG_INIT, 3),
      pbt_rng_open(1, 2, PBT_RNG_EXPLORE, 3), pbt_rng_open(1, 2, PBT_RNG_INIT, 4),
      pbt_rng_open(1, 2, PBT_RNG_INIT, 3 + (UINT64_C(1) << 32))};
  uint64_t first = pbt_rng_u64(&a);
  for (size_t i = 0; i < 5; i++) {
    struct pbt_rng b = other[i];
    ck_assert_uint_ne(first, pbt_rng_u64(&b));
  }
}
END_TEST

START_TEST(normals_have_mean_0_and_variance_1) {
  struct pbt_rng rng = pbt_rng_open(5, 0, PBT_RNG_TEST, 0);
  double sum = 0, square = 0;
  const int n = 200000;
  for (int i = 0; i < n; i++) {
    double x = pbt_rng_normal(&rng);
    sum += x;
    square += x * x;
  }
  ck_assert_double_lt(fabs(sum / n), 5 / sqrt(n));
  ck_assert_double_lt(fabs(square / n - 1), 5 * sqrt(2.0 / n));
}
END_TEST

START_TEST(exp_and_log_stay_within_an_ulp_of_libm) {
  struct pbt_rng rng = pbt_rng_open(6, 0, PBT_RNG_TEST, 0);
  for (int i = 0; i < 200000; i++) {
    double x = (pbt_rng_uniform(&rng) - 0.5) * 1400;
    ck_assert_double_le(fabs(pbt_exp(x) - exp(x)), 2.3e-16 * exp(x));
    double y = exp(x);
    if (y > 0 && isfinite(y)) {
      ck_assert_double_le(fabs(pbt_log(y) - log(y)), 2.3e-16 * fabs(log(y)));
    }
  }
  ck_assert_double_eq(pbt_exp(0), 1);
  ck_assert_double_eq(pbt_log(1), 0);
  ck_assert(isinf(pbt_exp(1000)) && pbt_exp(-1000) == 0 && isnan(pbt_log(-1)));
}
END_TEST

START_TEST(the_nearest_word_is_found_and_a_far_one_is_not) {
  const char *const word[] = {"generations", "steps", "epochs"};
  ck_assert_str_eq(pbt_text_nearest("genrations", word, 3), "generations");
  ck_assert_str_eq(pbt_text_nearest("setps", word, 3), "steps");
  ck_assert_ptr_null(pbt_text_nearest("learning_rate", word, 3));
}
END_TEST

START_TEST(the_first_error_wins_and_takes_context) {
  pbt_error_clear();
  pbt_fail(PBT_ERR_IO, "first %d", 1);
  pbt_fail(PBT_ERR_DATA, "second");
  pbt_context(PBT_ERR_IO, "reading");
  ck_assert_str_eq(pbt_error(), "reading: first 1");
}
END_TEST

START_TEST(memory_is_counted_and_zeroed) {
  int64_t before = pbt_mem_balance();
  char *block;
  ck_ok(PBT_NEW(1000, &block));
  ck_assert_int_eq(block[999], 0);
  ck_assert_uint_eq((uintptr_t)block % 64, 0);
  ck_assert_int_eq(pbt_mem_balance(), before + 1);
  pbt_mem_free(block);
  ck_assert_int_eq(pbt_mem_balance(), before);
  void *none;
  ck_fails(pbt_mem_alloc_n(SIZE_MAX / 4, 16, &none), PBT_ERR_UNAVAILABLE,
           "out of memory");
}
END_TEST

static void do_nothing(void *with) {
  (void)with;
}
static void crash(void *with) {
  raise(*(const int *)with);
}
static void spin(void *with) {
  for (volatile unsigned *number = with;; ++*number) {
  }
}

static pbt_status try_in_child(void (*work)(void *), void *with) {
  struct pbt_child child;
  ck_ok(pbt_child_start(work, with, 1, &child));
  return pbt_child_end(&child);
}

START_TEST(a_child_that_dies_or_hangs_is_told_of_in_one_line) {
  int number = SIGSEGV;
  ck_ok(try_in_child(do_nothing, NULL));
  ck_fails(try_in_child(crash, &number), PBT_ERR_DATA, "ended by signal 11");
  ck_fails(try_in_child(spin, &number), PBT_ERR_DATA, "more than 1 s of processor");
}
END_TEST

PBT_TEST_MAIN("base", philox_gives_the_published_words,
              a_permutation_visits_everything_once, permutations_are_spread_evenly,
              streams_differ_by_every_part_of_their_name,
              normals_have_mean_0_and_variance_1, exp_and_log_stay_within_an_ulp_of_libm,
              the_nearest_word_is_found_and_a_far_one_is_not,
              the_first_error_wins_and_takes_context, memory_is_counted_and_zeroed,
              a_child_that_dies_or_hangs_is_told_of_in_one_line)
