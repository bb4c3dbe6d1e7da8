/* First values: strata, Sobol's points against SciPy 1.17.1, grids, lists. */
#include <math.h>
#include <string.h>

#include "pbt/decide.h"
#include "pbt/seeding.h"
#include "tests/test.h"

/* scipy.stats.qmc.Sobol(32, scramble=False).random(256)[(1, 7, 100, 255)], times 2^32. */
static const struct {
  uint32_t index, point[32];
} known[] = {
#include "tests/unit/pbt_sobol_known.h"
};

START_TEST(sobols_points_are_scipys) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint32_t point[32];
    pbt_sobol_point(known[i].index, 32, point);
    ck_assert_mem_eq(point, known[i].point, sizeof point);
  }
}
END_TEST

static struct pbt_job job_of(int64_t n, enum pbt_seeding seeding) {
  struct pbt_job job = {.seed = 5};
  job.population.size = n;
  job.population.seeding = seeding;
  job.search.n = 3;
  job.search.hparam[0] = (struct pbt_hparam){
      .kind = PBT_LOG, .low = 1e-5, .high = 10, .start_low = 1e-3, .start_high = 1};
  job.search.hparam[1] =
      (struct pbt_hparam){.kind = PBT_REAL, .high = 1, .start_high = 1};
  job.search.hparam[2] = (struct pbt_hparam){
      .kind = PBT_CHOICE, .high = 2, .start_high = 2, .n_option = 3, .option = {4, 5, 6}};
  return job;
}

/* Which of `n` equal shares of the start range a value lies in. */
static int share_of(const struct pbt_hparam *hparam, double value, int n) {
  double u = hparam->kind == PBT_LOG ? log(value / hparam->start_low) /
                                           log(hparam->start_high / hparam->start_low)
                                     : value;
  return (int)(u * n);
}

START_TEST(latin_uses_every_share_once_and_sobol_every_share_of_a_power_of_2) {
  const enum pbt_seeding seeding[] = {PBT_SEEDING_LATIN, PBT_SEEDING_SOBOL};
  const int64_t size[] = {21, 32};
  for (int k = 0; k < 2; k++) {
    struct pbt_job job = job_of(size[k], seeding[k]);
    int used[2][64] = {{0}}, option[3] = {0};
    for (uint32_t i = 0; i < size[k]; i++) {
      double value[3];
      pbt_seed_hparams(&job, i, 0, value);
      for (int h = 0; h < 2; h++) {
        used[h][share_of(&job.search.hparam[h], value[h], (int)size[k])]++;
      }
      option[(int)value[2]]++;
    }
    for (int share = 0; share < size[k]; share++) {
      ck_assert_int_eq(used[0][share], 1);
      ck_assert_int_eq(used[1][share], 1);
    }
    for (int o = 0; o < 3; o++) {
      ck_assert_int_ge(option[o], (int)size[k] / 3 - 1);
    }
  }
}
END_TEST

START_TEST(a_grid_has_all_combinations_with_both_ends) {
  struct pbt_job job = job_of(27, PBT_SEEDING_GRID);
  int seen[3][3][3] = {{{0}}};
  for (uint32_t i = 0; i < 27; i++) {
    double value[3];
    pbt_seed_hparams(&job, i, 0, value);
    int level = (int)lround(log10(value[0]) / 1.5 + 2);
    ck_assert_double_eq_tol(value[0], pow(10, (level - 2) * 1.5), 1e-9);
    seen[level][(int)(value[1] * 2)][(int)value[2]]++;
  }
  for (int i = 0; i < 27; i++) {
    ck_assert_int_eq(seen[i / 9][i / 3 % 3][i % 3], 1);
  }
}
END_TEST

START_TEST(a_list_goes_before_and_a_fresh_start_is_drawn) {
  for (int seeding = 0; seeding < 4; seeding++) {
    struct pbt_job job = job_of(8, (enum pbt_seeding)seeding);
    job.search.hparam[1].n_start = 2;
    job.search.hparam[1].start[0] = 0.25;
    job.search.hparam[1].start[1] = 0.75;
    job.search.hparam[2].n_start = 1;
    job.search.hparam[2].start[0] = 6;
    double value[3], other[3];
    pbt_seed_hparams(&job, 3, 0, value);
    ck_assert_double_eq(value[1], 0.75);
    ck_assert_double_eq(value[2], 2);
    pbt_seed_hparams(&job, 3, 1, value);
    ck_assert(value[1] != 0.25 && value[1] != 0.75);
    job.population.seeding = PBT_SEEDING_RANDOM;
    pbt_seed_hparams(&job, 3, 1, other);
    ck_assert_mem_eq(value, other, sizeof value);
  }
}
END_TEST

PBT_TEST_MAIN("seeding", sobols_points_are_scipys,
              latin_uses_every_share_once_and_sobol_every_share_of_a_power_of_2,
              a_grid_has_all_combinations_with_both_ends,
              a_list_goes_before_and_a_fresh_start_is_drawn)
