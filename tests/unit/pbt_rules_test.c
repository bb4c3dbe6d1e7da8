/*
 * What each method's rule gives, worked out by hand: pairs of truncation, what a copy
 * takes, the thresholds of DexPBT, the mutants of DE, and SHADE's memory, archive, repair
 * and shrinking population.
 */
#include <math.h>
#include <string.h>

#include "tests/population_world.h"

/* Reals on 0 to 1, so that a value is its own place. */
static struct pbt_job job_of(int64_t n, int32_t n_hparam) {
  struct pbt_job job = {.seed = 3};
  job.population.size = n;
  job.budget.generations = 1 << 30;
  job.exploit.fraction = 0.3;
  job.explore.kind = PBT_EXPLORE_NONE;
  job.explore.scale = 0.5;
  job.explore.crossover = 1;
  job.explore.memory = 2;
  job.explore.best = 0.2;
  job.explore.archive = 2;
  job.explore.evaluations = 100;
  job.search.n = n_hparam;
  for (int32_t h = 0; h < n_hparam; h++) {
    job.search.hparam[h] =
        (struct pbt_hparam){.kind = PBT_REAL, .high = 1, .start_high = 1};
  }
  return job;
}

/* Member i scores i. */
static void score_by_number(struct population_world *world) {
  for (int64_t i = 0; i < world->n; i++) {
    world->report[i].fitness = (double)i;
  }
}

/* ---- exploit ---- */

START_TEST(truncation_pairs_by_rank_and_modulo) {
  struct pbt_job job = job_of(10, 1);
  struct population_world world;
  world_reports_only(&job, &world);
  score_by_number(&world);
  const int by_rank[] = {9, 8, 7, 3, 4, 5, 6, 7, 8, 9};
  const int modulo[] = {9, 7, 8, 9, 7, 8, 9, 7, 8, 9}; // from place 9 down: 9 % 3 = 0
  for (int p = 0; p < 2; p++) {
    job.exploit.pairing = p == 0 ? PBT_PAIR_RANK : PBT_PAIR_MOD;
    ck_ok(world_decide(&world, p));
    for (int i = 0; i < 10; i++) {
      ck_assert_int_eq(world.plan[i].donor, (p == 0 ? by_rank : modulo)[i]);
    }
  }
  world_close(&world);
}
END_TEST

START_TEST(a_copy_takes_what_the_job_says) {
  const enum pbt_copy copy[] = {PBT_COPY_BOTH, PBT_COPY_WEIGHTS, PBT_COPY_HPARAMS,
                                PBT_COPY_NONE};
  for (int c = 0; c < 4; c++) {
    struct pbt_job job = job_of(4, 1);
    job.exploit.pairing = PBT_PAIR_RANK;
    job.exploit.copy = copy[c];
    struct population_world world;
    world_reports_only(&job, &world);
    score_by_number(&world);
    double own = world.plan[0].value[0], best = world.plan[3].value[0];
    ck_ok(world_decide(&world, 0));
    bool values = copy[c] == PBT_COPY_BOTH || copy[c] == PBT_COPY_HPARAMS;
    ck_assert_int_eq(world.plan[0].donor, copy[c] == PBT_COPY_NONE ? 0 : 3);
    ck_assert_double_eq(world.plan[0].value[0], values ? best : own);
    ck_assert_int_eq(pbt_copies_weights(&job), c < 2);
    world_close(&world);
  }
}
END_TEST

/* Scores 0 to 9: without the worst fifth, 2 to 9, the standard deviation is
 * (63 / 12)^0.5; 9 and 0 are 3.9279 of them apart, and 9 is all of the donor's score. */
START_TEST(both_thresholds_of_dexpbt_must_be_passed) {
  static const struct {
    double deviations, gain;
    bool copies;
  } list[] = {{3.92, 0, true}, {3.93, 0, false}, {0, 0.99, true}, {0, 1, false}};
  for (int k = 0; k < 4; k++) {
    struct pbt_job job = job_of(10, 1);
    job.exploit.pairing = PBT_PAIR_RANK;
    job.guard.kind = PBT_GUARD_DEXPBT;
    job.guard.deviations = list[k].deviations;
    job.guard.gain = list[k].gain;
    struct population_world world;
    world_reports_only(&job, &world);
    score_by_number(&world);
    ck_ok(world_decide(&world, 0));
    ck_assert_int_eq(world.plan[0].donor, list[k].copies ? 9 : 0);
    world_close(&world);
  }
}
END_TEST

/* ---- trials ---- */

/* Proposes in a generation in which member i scores i. */
static void propose(struct population_world *world, int generation) {
  score_by_number(world);
  for (int64_t i = 0; i < world->n; i++) {
    world->report[i].fitness = world->asleep[i] ? (double)NAN : (double)i;
  }
  world_ok(world_propose(world, generation));
}

/* With four members the three others are known, in one of six orders. */
START_TEST(de_adds_a_difference_of_two_to_a_third) {
  struct pbt_job job = job_of(4, 1);
  job.explore.kind = PBT_EXPLORE_DE;
  job.exploit.kind = PBT_EXPLOIT_NONE;
  int clipped = 0;
  for (int g = 0; g < 500; g++) {
    struct population_world world;
    job.seed = (uint64_t)g;
    world_reports_only(&job, &world);
    propose(&world, 0);
    for (int i = 0; i < 4; i++) {
      double tried = world.trial[i].value[0];
      bool found = false;
      for (int order = 0; order < 27; order++) {
        int r[3] = {(i + 1 + order % 3) % 4, (i + 1 + order / 3 % 3) % 4,
                    (i + 1 + order / 9) % 4};
        double mutant = world.plan[r[0]].value[0] +
                        0.5 * (world.plan[r[1]].value[0] - world.plan[r[2]].value[0]);
        bool distinct = r[0] != r[1] && r[1] != r[2] && r[0] != r[2];
        found |= distinct && fabs(tried - fmin(fmax(mutant, 0), 1)) < 1e-12;
      }
      if (!found) {
        ck_abort_msg("seed %d, member %d tries %g", g, i, tried);
      }
      clipped += tried == 0 || tried == 1;
    }
    world_close(&world);
  }
  ck_assert_int_gt(clipped, 20);
}
END_TEST

/* Never on a bound, often exactly between it and the parent. */
START_TEST(shade_goes_half_way_to_a_bound) {
  struct pbt_job job = job_of(10, 3);
  job.explore.kind = PBT_EXPLORE_SHADE;
  job.exploit.kind = PBT_EXPLOIT_NONE;
  int half_way = 0;
  for (int g = 0; g < 300; g++) {
    struct population_world world;
    job.seed = (uint64_t)g;
    world_reports_only(&job, &world);
    propose(&world, 0);
    for (int i = 0; i < 10; i++) {
      for (int h = 0; h < 3; h++) {
        double parent = world.plan[i].value[h], tried = world.trial[i].value[h];
        if (!(tried > 0 && tried < 1)) {
          ck_abort_msg("tried %g", tried);
        }
        half_way += tried == 0.5 * parent || tried == 0.5 * (1 + parent);
      }
    }
    world_close(&world);
  }
  ck_assert_int_gt(half_way, 100);
}
END_TEST

/* Gains of 1 and 3 with Cr 0.2, 0.6 and F 0.4, 0.8: Lehmer's means are 1.12 / 2 and
 * 2.08 / 2.8.  Winners whose Cr are all 0 close their slot for ever. */
START_TEST(the_memory_of_shade_holds_lehmers_means) {
  struct pbt_job job = job_of(6, 2);
  job.explore.kind = PBT_EXPLORE_SHADE;
  job.exploit.kind = PBT_EXPLOIT_NONE;
  struct population_world world;
  world_reports_only(&job, &world);
  double *tried = pbt_memory_at(&world.memory, "shade/tried");
  double *slot = pbt_memory_at(&world.memory, "shade/slot");
  int64_t *counter = pbt_memory_at(&world.memory, "shade/counter");
  for (int g = 0; g < 4; g++) {
    propose(&world, g);
    ck_assert_double_eq(slot[3], g < 2 ? 0.5 : 1);
    for (int i = 0; i < 6; i++) {
      world.trial[i].parent = i;
      world.trial[i].fitness = i == 1 ? i + 1 : (i == 4 ? i + 3 : i - 1);
      tried[2 * i] = i == 1 ? 0.2 : 0.6;
      tried[2 * i + 1] = i == 1 ? 0.4 : 0.8;
      if (g % 2 == 1) { // the second slot; later its Cr would count, were it open
        tried[2 * i] = g == 1 ? 0 : 0.9;
        tried[2 * i + 1] = 1;
      }
    }
    ck_ok(world_decide(&world, g));
    ck_assert_double_eq_tol(slot[0], 0.56, 1e-12);
    ck_assert_double_eq_tol(slot[1], 2.08 / 2.8, 1e-12);
    ck_assert_int_eq(counter[2], 2 * (g + 1)); // archived: two strict successes each
  }
  ck_assert(slot[2] < 0);
  ck_assert_double_eq(slot[3], 1);
  world_close(&world);
}
END_TEST

/* 12 members, 100 trials: after T of them round(12 - 8 T / 100) are left, the best. */
START_TEST(lshade_shrinks_in_a_line_to_four) {
  struct pbt_job job = job_of(12, 2);
  job.explore.kind = PBT_EXPLORE_LSHADE;
  job.exploit.kind = PBT_EXPLOIT_NONE;
  struct population_world world;
  world_reports_only(&job, &world);
  int64_t *counter = pbt_memory_at(&world.memory, "shade/counter");
  int64_t trials = 0, left = 12;
  int full = 0;
  for (int g = 0; g < 30; g++) {
    propose(&world, g);
    for (int i = 0; i < 12; i++) {
      world.trial[i].parent = i;
      world.trial[i].fitness = i + 0.5; // all succeed and are archived
      trials += world.trial[i].tries;
    }
    ck_ok(world_decide(&world, g));
    double line = 12 - 8 * fmin(1, (double)trials / 100);
    left = (int64_t)floor(line + 0.5);
    for (int i = 0; i < 12; i++) {
      ck_assert_int_eq(world.asleep[i] == 0, i >= 12 - left);
    }
    ck_assert_int_le(counter[2], 2 * left);
    full += counter[2] == 2 * left;
  }
  ck_assert_int_eq(left, 4);
  ck_assert_int_gt(full, 20);
  world_close(&world);
}
END_TEST

PBT_TEST_MAIN("rules", truncation_pairs_by_rank_and_modulo,
              a_copy_takes_what_the_job_says, both_thresholds_of_dexpbt_must_be_passed,
              de_adds_a_difference_of_two_to_a_third, shade_goes_half_way_to_a_bound,
              the_memory_of_shade_holds_lehmers_means, lshade_shrinks_in_a_line_to_four)
