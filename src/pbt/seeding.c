/*
 * First values, spread as population.seeding says; `start` in [search.NAME] goes before.
 *
 *   random  each member draws on its own (the paper)
 *   latin   Latin hypercube (McKay, Beckman, Conover 1979): each hyperparameter's range
 *           is cut into as many shares as there are members, and each share is used once
 *   sobol   Sobol's sequence (Sobol 1967; direction numbers of Joe and Kuo 2008) with a
 *           digital shift drawn from the seed
 *   grid    levels of each hyperparameter, ends included, all combinations; the
 *           hyperparameters that come first in the job get the finer levels
 *
 * A member that starts afresh after it diverged always draws on its own.
 */
#include "pbt/seeding.h"

#include "base/detmath.h" // log ranges
#include "base/rng.h"     // streams
#include "pbt/decide.h"   // pbt_seed_hparams

#include <math.h>

enum { SOBOL_BITS = 32, SOBOL_DEGREE = 8 };

/* Primitive polynomial (degree, inner coefficients) and first direction numbers of each
 * dimension after the first: https://web.maths.unsw.edu.au/~fkuo/sobol, new-joe-kuo-6. */
static const struct {
  uint8_t degree, inner;
  uint8_t first[SOBOL_DEGREE];
} sobol[PBT_MAX_HPARAM - 1] = {
    {1, 0, {1}},
    {2, 1, {1, 3}},
    {3, 1, {1, 3, 1}},
    {3, 2, {1, 1, 1}},
    {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}},
    {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}},
    {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}},
    {6, 1, {1, 3, 3, 9, 7, 49}},
    {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}},
    {6, 19, {1, 1, 1, 15, 7, 5}},
    {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}},
    {7, 1, {1, 3, 7, 11, 23, 15, 103}},
    {7, 4, {1, 3, 7, 13, 13, 15, 69}},
    {7, 7, {1, 1, 3, 13, 7, 35, 63}},
    {7, 8, {1, 3, 5, 9, 1, 25, 53}},
    {7, 14, {1, 3, 1, 13, 9, 35, 107}},
    {7, 19, {1, 3, 1, 5, 27, 61, 31}},
    {7, 21, {1, 1, 5, 11, 19, 41, 61}},
    {7, 28, {1, 3, 5, 3, 3, 13, 69}},
    {7, 31, {1, 1, 7, 13, 1, 19, 1}},
    {7, 32, {1, 3, 7, 5, 13, 19, 59}},
    {7, 37, {1, 1, 3, 9, 25, 29, 41}},
    {7, 41, {1, 3, 5, 13, 23, 1, 55}},
    {7, 42, {1, 3, 7, 3, 13, 59, 17}},
};

/* Direction number of bit b (0: the highest) in dimension d. */
static uint32_t direction(int32_t d, int b) {
  if (d == 0) {
    return 1u << (SOBOL_BITS - 1 - b);
  }
  int degree = sobol[d - 1].degree;
  uint32_t v[SOBOL_BITS];
  for (int i = 0; i <= b; i++) {
    if (i < degree) {
      v[i] = (uint32_t)sobol[d - 1].first[i] << (SOBOL_BITS - 1 - i);
      continue;
    }
    v[i] = v[i - degree] ^ (v[i - degree] >> degree);
    for (int k = 1; k < degree; k++) {
      v[i] ^= (sobol[d - 1].inner >> (degree - 1 - k) & 1u) != 0 ? v[i - k] : 0u;
    }
  }
  return v[b];
}

void pbt_sobol_point(uint32_t index, int32_t n, uint32_t point[]) {
  uint32_t gray = index ^ (index >> 1);
  for (int32_t d = 0; d < n; d++) {
    point[d] = 0;
    for (int b = 0; b < SOBOL_BITS && gray >> b != 0; b++) {
      point[d] ^= (gray >> b & 1u) != 0 ? direction(d, b) : 0u;
    }
  }
}

double pbt_hparam_at_share(const struct pbt_hparam *hparam, double u) {
  double low = hparam->start_low, high = hparam->start_high, value;
  if (hparam->kind == PBT_INT || hparam->kind == PBT_CHOICE) {
    value = low + floor(u * (high - low + 1.0));
  } else if (hparam->kind == PBT_LOG) {
    double from = pbt_log(low);
    value = pbt_exp(from + u * (pbt_log(high) - from));
  } else {
    value = low + u * (high - low);
  }
  return value < low ? low : (value > high ? high : value);
}

/* ---- shares of all hyperparameters of one member ---- */

static void random_values(const struct pbt_job *job, uint32_t member, uint64_t restart,
                          double value[]) {
  struct pbt_rng rng = pbt_rng_open(job->seed, member, PBT_RNG_SEEDING, restart);
  for (int32_t h = 0; h < job->search.n; h++) {
    value[h] = pbt_hparam_draw(&job->search.hparam[h], &rng);
  }
}

static void latin_values(const struct pbt_job *job, uint32_t member, double value[]) {
  uint64_t n = (uint64_t)job->population.size;
  struct pbt_rng rng = pbt_rng_open(job->seed, member, PBT_RNG_SEEDING, 0);
  for (int32_t h = 0; h < job->search.n; h++) {
    struct pbt_permutation shares =
        pbt_permutation_open(job->seed, PBT_RNG_NOBODY, PBT_RNG_SEEDING, (uint64_t)h, n);
    double share = (double)pbt_permutation_at(&shares, member) + pbt_rng_uniform(&rng);
    value[h] = pbt_hparam_at_share(&job->search.hparam[h], share / (double)n);
  }
}

static void sobol_values(const struct pbt_job *job, uint32_t member, double value[]) {
  uint32_t point[PBT_MAX_HPARAM];
  pbt_sobol_point(member, job->search.n, point);
  struct pbt_rng shift = pbt_rng_open(job->seed, PBT_RNG_NOBODY, PBT_RNG_SEEDING, 0);
  for (int32_t h = 0; h < job->search.n; h++) {
    double u = (double)(point[h] ^ pbt_rng_u32(&shift)) * 0x1p-32;
    value[h] = pbt_hparam_at_share(&job->search.hparam[h], u);
  }
}

static int64_t combinations(const int64_t level[], int32_t n) {
  int64_t product = 1;
  for (int32_t h = 0; h < n; h++) {
    product *= level[h];
  }
  return product;
}

/* How many different values a hyperparameter can start with at all. */
static int64_t most_levels(const struct pbt_hparam *hparam) {
  bool discrete = hparam->kind == PBT_INT || hparam->kind == PBT_CHOICE;
  return discrete ? (int64_t)(hparam->start_high - hparam->start_low) + 1 : INT32_MAX;
}

/* Levels are raised in turn until there is a combination for every member. */
static void set_levels(const struct pbt_job *job, int64_t level[]) {
  int32_t n = job->search.n;
  for (int32_t h = 0; h < n; h++) {
    level[h] = 1;
  }
  for (bool raised = true; raised && combinations(level, n) < job->population.size;) {
    raised = false;
    for (int32_t h = 0; h < n && combinations(level, n) < job->population.size; h++) {
      if (level[h] < most_levels(&job->search.hparam[h])) {
        level[h]++;
        raised = true;
      }
    }
  }
}

static void grid_values(const struct pbt_job *job, uint32_t member, double value[]) {
  int64_t level[PBT_MAX_HPARAM];
  set_levels(job, level);
  int64_t all = combinations(level, job->search.n), n = job->population.size;
  int64_t cell = all >= n ? (int64_t)member * all / n : (int64_t)member % all;
  for (int32_t h = 0; h < job->search.n; h++) {
    const struct pbt_hparam *hparam = &job->search.hparam[h];
    double at = (double)(cell % level[h]);
    double last = (double)(level[h] - 1);
    double u = level[h] == 1 ? 0.5 : at / last;
    bool discrete = hparam->kind == PBT_INT || hparam->kind == PBT_CHOICE;
    if (discrete) {
      double width = hparam->start_high - hparam->start_low;
      value[h] = floor(hparam->start_low + u * width + 0.5);
    } else {
      value[h] = pbt_hparam_at_share(hparam, u);
    }
    cell /= level[h];
  }
}

/* ---- values listed in the job ---- */

double pbt_hparam_listed(const struct pbt_hparam *hparam, double number) {
  for (int32_t o = 0; hparam->kind == PBT_CHOICE && o < hparam->n_option; o++) {
    if (hparam->option[o] == number) {
      return o;
    }
  }
  return number;
}

double pbt_hparam_scheduled(const struct pbt_hparam *hparam, int64_t generation) {
  int64_t last = hparam->n_schedule - 1;
  return pbt_hparam_listed(hparam,
                           hparam->schedule[generation < last ? generation : last]);
}

static void listed_values(const struct pbt_job *job, uint32_t member, double value[]) {
  for (int32_t h = 0; h < job->search.n; h++) {
    const struct pbt_hparam *hparam = &job->search.hparam[h];
    if (hparam->n_start > 0) {
      uint32_t place = member % (uint32_t)hparam->n_start;
      value[h] = pbt_hparam_listed(hparam, hparam->start[place]);
    }
    if (hparam->n_schedule > 0) {
      value[h] = pbt_hparam_scheduled(hparam, 0);
    }
  }
}

void pbt_seed_hparams(const struct pbt_job *job, uint32_t member, uint64_t restart,
                      double value[]) {
  enum pbt_seeding seeding = restart > 0 ? PBT_SEEDING_RANDOM : job->population.seeding;
  switch (seeding) {
  case PBT_SEEDING_RANDOM:
    random_values(job, member, restart, value);
    break;
  case PBT_SEEDING_LATIN:
    latin_values(job, member, value);
    break;
  case PBT_SEEDING_SOBOL:
    sobol_values(job, member, value);
    break;
  case PBT_SEEDING_GRID:
    grid_values(job, member, value);
    break;
  }
  if (restart == 0) {
    listed_values(job, member, value);
  }
}
