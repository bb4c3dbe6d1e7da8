/*
 * Differential evolution on functions: 10 dimensions, 25 seeds, 100,000 trials of DE and
 * 15,000 of the faster SHADE and L-SHADE, through pbt_propose and pbt_decide.  The
 * quartiles must lie in bands that SciPy (DE) and a plain NumPy reference (SHADE,
 * L-SHADE) gave, fixed beforehand: make_evolution_targets.py says how.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/population_world.h"

enum { D = 10, DE_TRIALS = 100000, SHADE_TRIALS = 15000, SEEDS = 25 };
enum { FIRST_SEED = 101 }; // never run before the targets stood

static double sphere(const double x[]) {
  double sum = 0;
  for (int i = 0; i < D; i++) {
    sum += x[i] * x[i];
  }
  return sum;
}

static double rosenbrock(const double x[]) {
  double sum = 0;
  for (int i = 0; i + 1 < D; i++) {
    double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
    sum += 100 * a * a + b * b;
  }
  return sum;
}

static double rastrigin(const double x[]) {
  double sum = 0;
  for (int i = 0; i < D; i++) {
    sum += x[i] * x[i] - 10 * cos(2 * M_PI * x[i]) + 10;
  }
  return sum;
}

static const struct {
  const char *method, *function;
  double band[3][2]; // log10 of the final value: first quartile, median, third
} target[] = {
#include "tests/golden/evolution_targets.h"
};

static const struct {
  const char *name;
  double (*call)(const double x[]);
} functions[] = {
    {"sphere", sphere}, {"rosenbrock", rosenbrock}, {"rastrigin", rastrigin}};

static struct pbt_job job_of(const char *method) {
  struct pbt_job job = {.task.sense = PBT_MINIMIZE};
  job.population.size = strcmp(method, "lshade") == 0 ? 60 : 50;
  job.budget.generations = 1 << 30;
  job.exploit.kind = PBT_EXPLOIT_NONE;
  job.explore.kind = strcmp(method, "de") == 0      ? PBT_EXPLORE_DE
                     : strcmp(method, "shade") == 0 ? PBT_EXPLORE_SHADE
                                                    : PBT_EXPLORE_LSHADE;
  job.explore.trial_steps = 1;
  job.explore.scale = 0.5;
  job.explore.crossover = 0.9;
  job.explore.memory = 5;
  job.explore.best = 0.2;
  job.explore.archive = 2;
  job.explore.evaluations = SHADE_TRIALS;
  job.search.n = D;
  for (int h = 0; h < D; h++) {
    job.search.hparam[h] = (struct pbt_hparam){.kind = PBT_REAL,
                                               .low = -5.12,
                                               .high = 5.12,
                                               .start_low = -5.12,
                                               .start_high = 5.12};
  }
  return job;
}

static double minimise(const struct pbt_job *job, double (*call)(const double x[])) {
  struct population_world world;
  world_reports_only(job, &world);
  for (int64_t i = 0; i < world.n; i++) {
    world.report[i].fitness = call(world.plan[i].value);
  }
  double best = HUGE_VAL;
  int64_t trials = 0;
  int64_t most = job->explore.kind == PBT_EXPLORE_DE ? DE_TRIALS : SHADE_TRIALS;
  for (int g = 0; trials < most; g++) {
    world_ok(world_propose(&world, g));
    for (int64_t i = 0; i < world.n; i++) {
      if (world.trial[i].tries) {
        world.trial[i].parent = world.report[i].fitness;
        world.trial[i].fitness = call(world.trial[i].value);
        trials++;
      }
    }
    world_ok(world_decide(&world, g));
    for (int64_t i = 0; i < world.n; i++) {
      if (world.plan[i].takes_trial && world.asleep[i] == 0) {
        world.report[i].fitness = world.trial[i].fitness;
      }
      best = fmin(best, world.report[i].fitness);
    }
  }
  world_close(&world);
  return best;
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static void study(const char *method) {
  for (size_t k = 0; k < sizeof target / sizeof *target; k++) {
    if (strcmp(target[k].method, method) != 0) {
      continue;
    }
    double began = pbt_seconds(), found[SEEDS];
    size_t f = 0;
    while (strcmp(functions[f].name, target[k].function) != 0) {
      f++;
    }
    struct pbt_job job = job_of(method);
    for (int s = 0; s < SEEDS; s++) {
      job.seed = (uint64_t)s + FIRST_SEED;
      found[s] = log10(fmax(minimise(&job, functions[f].call), 1e-20));
    }
    qsort(found, SEEDS, sizeof *found, by_value);
    for (int q = 0; q < 3; q++) {
      double value = found[(q + 1) * (SEEDS - 1) / 4];
      printf("%s %s quartile %d: %.3f (%.3f to %.3f)\n", method, functions[f].name, q + 1,
             value, target[k].band[q][0], target[k].band[q][1]);
      fflush(stdout);
      /* The targets are rounded to four places. */
      ck_assert(value >= target[k].band[q][0] - 1e-4);
      ck_assert(value <= target[k].band[q][1] + 1e-4);
    }
    printf("  %.1f s\n", pbt_seconds() - began);
  }
}

START_TEST(de_does_as_scipys) {
  study("de");
}
END_TEST

START_TEST(shade_does_as_its_reference) {
  study("shade");
}
END_TEST

START_TEST(lshade_does_as_its_reference) {
  study("lshade");
}
END_TEST

PBT_TEST_MAIN("evolution", de_does_as_scipys, shade_does_as_its_reference,
              lshade_does_as_its_reference)
