/* The Gaussian process of PB2 against NumPy in double precision: make_pbt_gp.py. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "pbt/gp.h"
#include "tests/population_world.h"

enum { N = 24, D = 3, EXTRA = 4, AT = 6, ROW = D + 1 };

static const struct known {
  struct pbt_gp_shape shape;
  double x[N * ROW], y[N], extra[EXTRA * ROW], at[AT * ROW], mean[AT], variance[AT];
  double likelihood;
} known[] = {
#include "tests/unit/pbt_gp_known.h"
};

static struct pbt_gp fitted(const struct known *k) {
  struct pbt_gp gp;
  ck_ok(pbt_gp_open(N + EXTRA, ROW, &gp));
  memcpy(gp.x, k->x, sizeof k->x);
  memcpy(gp.y, k->y, sizeof k->y);
  ck_assert(pbt_gp_fit(&gp, N, &k->shape));
  return gp;
}

START_TEST(the_posterior_equals_numpys) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const struct known *k = &known[i];
    struct pbt_gp gp = fitted(k);
    ck_assert_double_eq_tol(gp.likelihood, k->likelihood, 1e-6);
    for (int e = 0; e < EXTRA; e++) {
      ck_assert(pbt_gp_add(&gp, k->extra + e * ROW));
    }
    ck_assert(!pbt_gp_add(&gp, k->extra)); // full
    for (int t = 0; t < AT; t++) {
      double mean, variance;
      pbt_gp_at(&gp, k->at + t * ROW, &mean, &variance, NULL, NULL);
      ck_assert_double_eq_tol(mean, k->mean[t], 1e-6);
      ck_assert_double_eq_tol(variance, k->variance[t], 1e-6);
    }
    pbt_gp_close(&gp);
  }
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(slopes_are_differences) {
  struct pbt_gp gp = fitted(&known[0]);
  ck_assert(pbt_gp_add(&gp, known[0].extra));
  double x[ROW], mean, variance, mean_slope[D], variance_slope[D];
  memcpy(x, known[0].at, sizeof x);
  pbt_gp_at(&gp, x, &mean, &variance, mean_slope, variance_slope);
  for (int c = 0; c < D; c++) {
    double up[2], down[2], at = x[c + 1], h = 1e-5;
    x[c + 1] = at + h;
    pbt_gp_at(&gp, x, &up[0], &up[1], NULL, NULL);
    x[c + 1] = at - h;
    pbt_gp_at(&gp, x, &down[0], &down[1], NULL, NULL);
    x[c + 1] = at;
    ck_assert_double_eq_tol((up[0] - down[0]) / (2 * h), mean_slope[c], 1e-7);
    ck_assert_double_eq_tol((up[1] - down[1]) / (2 * h), variance_slope[c], 1e-7);
  }
  pbt_gp_close(&gp);
}
END_TEST

START_TEST(equal_points_without_noise_climb_the_ladder) {
  struct pbt_gp gp;
  ck_ok(pbt_gp_open(8, ROW, &gp)); // zeros: eight times the same point
  ck_assert(pbt_gp_fit(&gp, 8, &(struct pbt_gp_shape){1, 0.1, 0}));
  ck_assert_double_gt(gp.jitter, 0);
  ck_assert(!pbt_gp_fit(&gp, 8, &(struct pbt_gp_shape){1, 0.1, -0.5}));
  pbt_gp_close(&gp);
}
END_TEST

static struct pbt_job job_of(int64_t n) {
  struct pbt_job job = {.seed = 2};
  job.population.size = n;
  job.ready.steps = 1;
  job.budget.generations = 1 << 30;
  job.exploit.fraction = 0.25;
  job.explore.kind = PBT_EXPLORE_PB2;
  job.explore.n_factor = 2;
  job.explore.factor[0] = 0.8;
  job.explore.factor[1] = 1.25;
  job.explore.probability = 1;
  job.search.n = 3;
  for (int h = 0; h < 3; h++) {
    job.search.hparam[h] = (struct pbt_hparam){.kind = h == 0 ? PBT_LOG : PBT_REAL,
                                               .low = 0.01,
                                               .high = 1,
                                               .start_low = 0.01,
                                               .start_high = 1};
  }
  return job;
}

/* Scores grow by what the values are worth: best at (0.1, 0.3, 0.8). */
static void grow(struct population_world *world) {
  for (int64_t i = 0; i < world->n; i++) {
    const double *value = world->plan[i].value;
    double a = log10(value[0]) + 1, b = value[1] - 0.3, c = value[2] - 0.8;
    int32_t donor = world->plan[i].donor;
    world->report[i].training_loss =
        world->report[donor].fitness + exp(-(a * a + b * b + c * c));
  }
  for (int64_t i = 0; i < world->n; i++) {
    world->report[i].fitness = world->report[i].training_loss;
  }
}

static double best_after(const struct pbt_job *job, int generations, double *seconds) {
  struct population_world world;
  world_reports_only(job, &world);
  for (int64_t i = 0; i < world.n; i++) {
    world.plan[i].donor = (int32_t)i;
  }
  *seconds = 0;
  for (int g = 0; g < generations; g++) {
    grow(&world);
    clock_t before = clock(); // of this process: the machine is shared
    world_ok(world_decide(&world, g));
    *seconds += (double)(clock() - before) / CLOCKS_PER_SEC;
    for (int64_t i = 0; i < world.n; i++) {
      for (int h = 0; h < 3; h++) {
        double value = world.plan[i].value[h];
        if (!(value >= 0.01 && value <= 1)) {
          ck_abort_msg("value %g", value);
        }
      }
    }
  }
  double best = world.report[world.order[0]].fitness / generations;
  world_close(&world);
  return best;
}

START_TEST(pb2_finds_what_pays_sooner_than_perturbing) {
  double pb2 = 0, perturb = 0, spent;
  for (uint64_t s = 0; s < 20; s++) {
    struct pbt_job job = job_of(8);
    job.seed = s;
    pb2 += best_after(&job, 20, &spent) / 20;
    job.explore.kind = PBT_EXPLORE_PERTURB;
    perturb += best_after(&job, 20, &spent) / 20;
  }
  printf("mean gain a generation: PB2 %.3f, perturb %.3f, at most 1\n", pb2, perturb);
  ck_assert_double_gt(pb2, perturb);
}
END_TEST

/* 1 % of 250 steps of 1.5 ms is 3.75 ms; a debug build may take more. */
START_TEST(thirty_two_members_take_milliseconds) {
  struct pbt_job job = job_of(32);
  double spent;
  best_after(&job, 60, &spent);
  printf("32 members, 64 points: %.2f ms a generation\n", 1e3 * spent / 60);
  fflush(stdout);
  ck_assert_double_lt(spent / 60, 0.2);
}
END_TEST

PBT_TEST_MAIN("gp", the_posterior_equals_numpys, slopes_are_differences,
              equal_points_without_noise_climb_the_ladder,
              pb2_finds_what_pays_sooner_than_perturbing,
              thirty_two_members_take_milliseconds)
