/* Properties of hyperparameters over a million moves of each kind. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "job/hparam.h"
#include "tests/test.h"

static const struct pbt_hparam lr = {.name = "lr",
                                     .kind = PBT_LOG,
                                     .low = 1e-6,
                                     .high = 0.5,
                                     .start_low = 1e-3,
                                     .start_high = 0.1};
static const struct pbt_hparam momentum = {.name = "momentum",
                                           .kind = PBT_REAL,
                                           .low = 0.5,
                                           .high = 0.98,
                                           .start_low = 0.8,
                                           .start_high = 0.9};
static const struct pbt_hparam smoothing = {.name = "label_smoothing",
                                            .kind = PBT_REAL,
                                            .low = 0,
                                            .high = 0.2,
                                            .start_low = 0,
                                            .start_high = 0.2};
static const struct pbt_hparam balance = {.name = "balance",
                                          .kind = PBT_REAL,
                                          .low = -3,
                                          .high = 1,
                                          .start_low = -3,
                                          .start_high = 1};
static const struct pbt_hparam units = {.name = "units",
                                        .kind = PBT_INT,
                                        .low = 1,
                                        .high = 40,
                                        .start_low = 3,
                                        .start_high = 12};
static const struct pbt_hparam shift = {.name = "shift",
                                        .kind = PBT_INT,
                                        .low = -7,
                                        .high = 2,
                                        .start_low = -7,
                                        .start_high = 2};
static const struct pbt_hparam coin = {.name = "coin",
                                       .kind = PBT_INT,
                                       .low = 4,
                                       .high = 5,
                                       .start_low = 4,
                                       .start_high = 5};
static const struct pbt_hparam option = {.name = "option",
                                         .kind = PBT_CHOICE,
                                         .low = 0,
                                         .high = 4,
                                         .start_low = 0,
                                         .start_high = 4,
                                         .n_option = 5,
                                         .option = {0.3, 0.1, 0.2, 7, -1}};
static const struct pbt_hparam *const all[] = {&lr,    &momentum, &smoothing, &balance,
                                               &units, &shift,    &coin,      &option};
enum { N_ALL = sizeof all / sizeof *all };

static bool is_discrete(const struct pbt_hparam *h) {
  return h->kind == PBT_INT || h->kind == PBT_CHOICE;
}

static struct pbt_rng stream(uint64_t step) {
  return pbt_rng_open(11, 0, PBT_RNG_TEST, step);
}

/* Check notes every assertion that passes in a pipe; in a hot loop only failures go
 * there. */
#define MUST(condition, ...)                                                             \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      ck_abort_msg(__VA_ARGS__);                                                         \
    }                                                                                    \
  } while (0)

START_TEST(a_million_moves_stay_in_bounds) {
  static const double factor[] = {0.8, 1.25, 0.5, 2.0, 1.2, 1e-9, 1e9, 1.0001};
  for (int k = 0; k < N_ALL; k++) {
    const struct pbt_hparam *h = all[k];
    struct pbt_rng rng = stream((uint64_t)k);
    double value = pbt_hparam_draw(h, &rng);
    int stuck = 0;
    for (int i = 0; i < 1000000; i++) {
      double f = factor[pbt_rng_below(&rng, 8)];
      enum pbt_bounce bounce = pbt_rng_below(&rng, 2) ? PBT_CLIP : PBT_REFLECT;
      double next = pbt_hparam_perturb(h, value, f, bounce);
      MUST(next >= h->low && next <= h->high, "%s: %.17g x %g -> %.17g", h->name, value,
           f, next);
      if (is_discrete(h)) {
        MUST(next == floor(next), "%s: %.17g", h->name, next);
        MUST(next != value, "%s stuck at %.17g x %g", h->name, value, f);
      }
      stuck += next == value;
      value = next;
    }
    ck_assert_int_lt(stuck, 600000); // clipping holds a value at a bound, no more
  }
}
END_TEST

START_TEST(a_move_is_what_it_says) {
  ck_assert_double_eq(pbt_hparam_perturb(&lr, 0.01, 1.25, PBT_CLIP), 0.0125);
  ck_assert_double_eq(pbt_hparam_perturb(&momentum, 0.75, 0.8, PBT_CLIP), 0.75 * 0.8);
  ck_assert_double_eq(pbt_hparam_perturb(&momentum, 0.9, 1.25, PBT_CLIP), 0.98);
  /* 0.9 x 1.25 = 1.125, 0.145 above the bound */
  ck_assert_double_eq_tol(pbt_hparam_perturb(&momentum, 0.9, 1.25, PBT_REFLECT), 0.835,
                          1e-12);
  /* 0.4 x 2 = 0.8; the same distance below 0.5 in the logarithm */
  ck_assert_double_eq_tol(pbt_hparam_perturb(&lr, 0.4, 2, PBT_REFLECT), 0.25 / 0.8,
                          1e-12);
  ck_assert_double_eq_tol(pbt_hparam_perturb(&smoothing, 0, 1.25, PBT_CLIP), 0.04, 1e-15);
  ck_assert_double_eq_tol(pbt_hparam_perturb(&balance, 0, 0.8, PBT_CLIP), -0.8, 1e-15);
  ck_assert_double_eq(pbt_hparam_perturb(&units, 10, 1.25, PBT_CLIP), 13);
  ck_assert_double_eq(pbt_hparam_perturb(&units, 2, 1.25, PBT_CLIP), 3);
  ck_assert_double_eq(pbt_hparam_perturb(&units, 2, 0.8, PBT_CLIP), 1);
  ck_assert_double_eq(pbt_hparam_perturb(&units, 40, 1.25, PBT_CLIP), 39);
  ck_assert_double_eq(pbt_hparam_perturb(&shift, 0, 1.25, PBT_CLIP), 1);
  ck_assert_double_eq(pbt_hparam_perturb(&shift, 0, 0.8, PBT_CLIP), -1);
  ck_assert_double_eq(pbt_hparam_perturb(&shift, -1, 1.25, PBT_CLIP), -2);
  ck_assert_double_eq(pbt_hparam_perturb(&option, 2, 0.8, PBT_CLIP), 1);
  ck_assert_double_eq(pbt_hparam_perturb(&option, 2, 1.25, PBT_CLIP), 3);
  ck_assert_double_eq(pbt_hparam_effective(&option, 3), 7);
  ck_assert_double_eq(pbt_hparam_effective(&lr, 0.25), 0.25);
}
END_TEST

START_TEST(a_real_at_zero_moves) {
  for (int i = 0; i < 2; i++) {
    double factor = i == 0 ? 0.8 : 1.25;
    ck_assert(pbt_hparam_perturb(&balance, 0, factor, PBT_CLIP) != 0);
    ck_assert(pbt_hparam_perturb(&smoothing, 0, factor, PBT_REFLECT) != 0);
  }
}
END_TEST

START_TEST(bounds_catch_everything) {
  static const double odd[] = {NAN,    INFINITY, -INFINITY, 1e308,
                               -1e308, 0.0,      -0.0,      5e-324};
  for (int k = 0; k < N_ALL; k++) {
    for (int i = 0; i < 8; i++) {
      for (int bounce = PBT_CLIP; bounce <= PBT_REFLECT; bounce++) {
        double v = pbt_hparam_bound(all[k], odd[i], (enum pbt_bounce)bounce);
        ck_assert_msg(v >= all[k]->low && v <= all[k]->high, "%s: %g -> %g", all[k]->name,
                      odd[i], v);
        v = pbt_hparam_perturb(all[k], odd[i], 1.25, (enum pbt_bounce)bounce);
        ck_assert_msg(v >= all[k]->low && v <= all[k]->high, "%s: %g -> %g", all[k]->name,
                      odd[i], v);
      }
    }
    ck_assert_double_eq(pbt_hparam_bound(all[k], NAN, PBT_REFLECT), all[k]->low);
  }
  struct pbt_hparam point = momentum;
  point.high = point.low;
  ck_assert_double_eq(pbt_hparam_perturb(&point, 0.5, 1.25, PBT_REFLECT), 0.5);
}
END_TEST

/* Random walks of 0.8 and 1.25, far from the bounds: the mean of the logarithm stays.
 * Its deviation after n steps is log(1.25) sqrt(n). */
START_TEST(default_factors_do_not_drift) {
  enum { WALKS = 20000, STEPS = 50 };
  struct pbt_hparam wide = lr;
  wide.low = 1e-12;
  wide.high = 1e12;
  struct pbt_rng rng = stream(77);
  double sum = 0;
  for (int w = 0; w < WALKS; w++) {
    double value = 1.0;
    for (int i = 0; i < STEPS; i++) {
      double f = pbt_rng_below(&rng, 2) ? 1.25 : 0.8;
      value = pbt_hparam_perturb(&wide, value, f, PBT_REFLECT);
    }
    sum += log(value);
  }
  double error = log(1.25) * sqrt((double)STEPS) / sqrt((double)WALKS);
  ck_assert_double_lt(fabs(sum / WALKS), 4 * error);
}
END_TEST

/* Reflected walks fill the range evenly in the logarithm: no bound attracts.  100 walks,
 * each read every 40 moves; chi-squared of 10 cells would be 9 for independent readings,
 * and clipping gives thousands. */
START_TEST(reflection_favours_no_bound) {
  struct pbt_hparam narrow = lr;
  narrow.low = 0.01;
  narrow.high = 0.1 * 0.999;
  int cell[10] = {0};
  enum { N = 20000 };
  for (int w = 0; w < 100; w++) {
    struct pbt_rng rng = stream(1000 + (uint64_t)w);
    double value = 0.01 * pow(9.99, pbt_rng_uniform(&rng));
    for (int i = 0; i < N / 100; i++) {
      for (int k = 0; k < 40; k++) {
        double f = 0.8 + 0.45 * pbt_rng_below(&rng, 2);
        f *= 0.97 + 0.06 * pbt_rng_uniform(&rng); // off the lattice of 0.8 and 1.25
        value = pbt_hparam_perturb(&narrow, value, f, PBT_REFLECT);
      }
      int c = (int)(10 * pbt_hparam_to_unit(&narrow, value));
      cell[c < 9 ? c : 9]++;
    }
  }
  double chi = 0;
  for (int c = 0; c < 10; c++) {
    chi += (cell[c] - N / 10.0) * (cell[c] - N / 10.0) / (N / 10.0);
  }
  ck_assert_double_lt(chi, 40);
}
END_TEST

/* Chi-squared of 20 cells, 19 degrees of freedom: the 99.99 % quantile is 49.6. */
START_TEST(draws_fill_the_start_range_evenly) {
  enum { CELLS = 20, N = 200000 };
  for (int k = 0; k < N_ALL; k++) {
    const struct pbt_hparam *h = all[k];
    struct pbt_rng rng = stream(100 + (uint64_t)k);
    int count[CELLS] = {0};
    int cells = is_discrete(h) ? (int)(h->start_high - h->start_low) + 1 : CELLS;
    for (int i = 0; i < N; i++) {
      double v = pbt_hparam_draw(h, &rng);
      MUST(v >= h->start_low && v <= h->start_high, "%s: %g", h->name, v);
      double u = h->kind == PBT_LOG
                     ? log(v / h->start_low) / log(h->start_high / h->start_low)
                     : (v - h->start_low) / (h->start_high - h->start_low);
      int c = is_discrete(h) ? (int)(v - h->start_low) : (int)(u * CELLS);
      count[c < cells ? c : cells - 1]++;
    }
    double chi = 0, expected = (double)N / cells;
    for (int c = 0; c < cells; c++) {
      chi += (count[c] - expected) * (count[c] - expected) / expected;
    }
    ck_assert_msg(chi < 50, "%s: chi-squared %g", h->name, chi);
  }
}
END_TEST

START_TEST(unit_and_back) {
  for (int k = 0; k < N_ALL; k++) {
    const struct pbt_hparam *h = all[k];
    struct pbt_rng rng = stream(200 + (uint64_t)k);
    for (int i = 0; i < 1000; i++) {
      double v = pbt_hparam_draw(h, &rng);
      double u = pbt_hparam_to_unit(h, v);
      ck_assert(u >= 0 && u <= 1);
      ck_assert_double_eq_tol(pbt_hparam_from_unit(h, u), v, 1e-13 * (1 + fabs(v)));
    }
    ck_assert_double_eq_tol(pbt_hparam_to_unit(h, h->low), 0, 1e-15);
    ck_assert_double_eq_tol(pbt_hparam_to_unit(h, h->high), 1, 1e-15);
    ck_assert_double_eq(pbt_hparam_from_unit(h, -3), h->low);
    ck_assert_double_eq(pbt_hparam_from_unit(h, 3), h->high);
  }
  ck_assert_double_eq_tol(pbt_hparam_from_unit(&lr, 0.5), sqrt(1e-6 * 0.5), 1e-12);
}
END_TEST

START_TEST(kinds_have_names) {
  ck_assert_str_eq(pbt_kind_name(PBT_REAL), "real");
  ck_assert_str_eq(pbt_kind_name(PBT_LOG), "log");
  ck_assert_str_eq(pbt_kind_name(PBT_INT), "int");
  ck_assert_str_eq(pbt_kind_name(PBT_CHOICE), "choice");
}
END_TEST

PBT_TEST_MAIN("job_hparam", a_million_moves_stay_in_bounds, a_move_is_what_it_says,
              a_real_at_zero_moves, bounds_catch_everything, default_factors_do_not_drift,
              reflection_favours_no_bound, draws_fill_the_start_range_evenly,
              unit_and_back, kinds_have_names)
