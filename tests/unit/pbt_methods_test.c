/*
 * Every way to exploit, guard and explore, over random populations: plans are functions,
 * the diverged never give, values stay legal, whole numbers and options move.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "tests/population_world.h"

/* Kinds of every sort; the real one may be 0 and starts there in some tests. */
static struct pbt_job job_of(int64_t n) {
  struct pbt_job job = {.seed = 3};
  job.population.size = n;
  job.ready.steps = 1;
  job.budget.generations = 1 << 30;
  job.exploit.fraction = 0.3;
  job.exploit.window = 4;
  job.exploit.level = 0.3;
  job.guard.window = 3;
  job.guard.level = 0.4;
  job.guard.deviations = 0.5;
  job.guard.gain = 0.05;
  job.explore.n_factor = 2;
  job.explore.factor[0] = 0.8;
  job.explore.factor[1] = 1.25;
  job.explore.probability = 1;
  job.explore.deviation = 0.1;
  job.explore.trial_steps = 1;
  job.explore.scale = 0.5;
  job.explore.crossover = 0.8;
  job.explore.memory = 5;
  job.explore.best = 0.2;
  job.explore.archive = 2;
  job.explore.evaluations = 600;
  job.search.n = 5;
  struct pbt_hparam *h = job.search.hparam;
  h[0] = (struct pbt_hparam){.kind = PBT_LOG, .low = 1e-4, .high = 1};
  h[1] = (struct pbt_hparam){.kind = PBT_REAL, .low = 0, .high = 0.99};
  h[2] = (struct pbt_hparam){.kind = PBT_REAL, .low = 0.5, .high = 8};
  h[3] = (struct pbt_hparam){.kind = PBT_INT, .low = 1, .high = 9};
  h[4] = (struct pbt_hparam){
      .kind = PBT_CHOICE, .low = 0, .high = 3, .n_option = 4, .option = {5, 6, 8, 9}};
  for (int i = 0; i < job.search.n; i++) {
    snprintf(h[i].name, sizeof h[i].name, "h%d", i);
    h[i].start_low = h[i].low;
    h[i].start_high = h[i].high;
  }
  return job;
}

static bool legal(const struct pbt_hparam *hparam, double value) {
  bool whole = hparam->kind == PBT_REAL || hparam->kind == PBT_LOG;
  return value >= hparam->low && value <= hparam->high &&
         (whole || value == floor(value));
}

static void check_plan(const struct population_world *world) {
  for (int64_t i = 0; i < world->n; i++) {
    const struct pbt_step_plan *plan = &world->plan[i];
    bool asleep = world->asleep[i] != 0; // a dead one that retired is not looked at
    bool dead = !isfinite(world->report[i].fitness) && !asleep;
    bool good = plan->donor >= -1 && plan->donor < world->n;
    good = good && (plan->donor != -1 || dead || asleep);
    good = good && (plan->donor == -1 || plan->donor == i ||
                    (world->plan[plan->donor].donor == plan->donor &&
                     isfinite(world->report[plan->donor].fitness)));
    good = good && !(dead && plan->donor == i);
    for (int32_t h = 0; h < world->job->search.n; h++) {
      good = good && legal(&world->job->search.hparam[h], plan->value[h]);
    }
    if (!good) {
      ck_abort_msg("%s, %s, member %lld takes %d",
                   pbt_exploit_method(world->job->exploit.kind)->name,
                   pbt_explore_method(world->job->explore.kind)->name, (long long)i,
                   plan->donor);
    }
  }
}

static const enum pbt_exploit_kind exploits[] = {
    PBT_EXPLOIT_TRUNCATION, PBT_EXPLOIT_NONE, PBT_EXPLOIT_TOURNAMENT,
    PBT_EXPLOIT_TTEST,      PBT_EXPLOIT_LTFB, PBT_EXPLOIT_MFPBT};
static const enum pbt_guard_kind guards[] = {PBT_GUARD_NONE, PBT_GUARD_WELCH,
                                             PBT_GUARD_DEXPBT};
static const enum pbt_explore_kind explores[] = {
    PBT_EXPLORE_PERTURB, PBT_EXPLORE_RESAMPLE, PBT_EXPLORE_NONE, PBT_EXPLORE_NORMAL};
static const enum pbt_explore_kind trying[] = {PBT_EXPLORE_DE, PBT_EXPLORE_SHADE,
                                               PBT_EXPLORE_LSHADE};
#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* Any methods that may stand together, with what they ask for. */
static struct pbt_job any_job(struct pbt_rng *rng) {
  struct pbt_job job = job_of(4 + pbt_rng_below(rng, 17));
  job.exploit.kind = exploits[pbt_rng_below(rng, COUNT(exploits))];
  job.exploit.pairing = (enum pbt_pairing)pbt_rng_below(rng, 3);
  job.exploit.copy = (enum pbt_copy)pbt_rng_below(rng, 4);
  job.exploit.n_period = 2;
  job.exploit.period[0] = 1 + (int32_t)pbt_rng_below(rng, 2);
  job.exploit.period[1] = 3;
  job.guard.kind = guards[pbt_rng_below(rng, COUNT(guards))];
  job.explore.kind = (enum pbt_explore_kind)pbt_rng_below(rng, PBT_EXPLORE_REPLAY + 1);
  job.explore.who = (enum pbt_who)pbt_rng_below(rng, 2);
  job.explore.resample = 0.5 * pbt_rng_below(rng, 2);
  job.ready.burn_in = pbt_rng_below(rng, 3);
  job.task.sense = (enum pbt_sense)pbt_rng_below(rng, 2);
  if (pbt_trial_steps(&job) > 0) {
    job.exploit.kind = PBT_EXPLOIT_NONE;
  } else if (job.exploit.kind == PBT_EXPLOIT_MFPBT) {
    job.population.size = 16;
  } else {
    job.population.size -= 3; // as few as one
  }
  struct pbt_hparam *h = job.search.hparam;
  snprintf(h[0].name, sizeof h[0].name, "lr"); // for schedules
  if (job.explore.kind == PBT_EXPLORE_PB2) {
    job.search.n = 3; // no whole numbers
  }
  if (job.explore.kind == PBT_EXPLORE_REPLAY) {
    h[0].n_schedule = h[4].n_schedule = 2;
    h[0].schedule[0] = h[0].schedule[1] = 0.01;
    h[4].schedule[0] = 5;
    h[4].schedule[1] = 9;
  }
  return job;
}

/* Anything may happen to a score, to all of them too. */
static void score_anyhow(struct population_world *world, struct pbt_rng *rng) {
  bool all = pbt_rng_below(rng, 30) == 0;
  for (int64_t i = 0; i < world->n; i++) {
    bool dead = all || world->asleep[i] != 0 || pbt_rng_below(rng, 6) == 0;
    double score = pbt_rng_below(rng, 2) == 0 ? (double)pbt_rng_below(rng, 3)
                                              : 3 * pbt_rng_uniform(rng);
    world->report[i].fitness = dead ? (double)NAN : score;
  }
}

START_TEST(every_plan_of_every_method_is_a_function) {
  struct pbt_rng rng = pbt_rng_open(4, 0, PBT_RNG_TEST, 0);
  int seen[PBT_EXPLOIT_LTFB + 1][PBT_EXPLORE_REPLAY + 1] = {{0}};
  pbt_log_set_rank(1, 2, "quiet"); // info comes from rank 0 only
  for (int k = 0; k < 700; k++) {
    struct pbt_job job = any_job(&rng);
    struct population_world world;
    world_reports_only(&job, &world);
    for (int g = 0; g < 60; g++) {
      score_anyhow(&world, &rng);
      world_ok(world_propose(&world, g));
      for (int64_t i = 0; i < world.n; i++) { // what was tried, or rivals were worth
        world.trial[i].parent = (double)pbt_rng_below(&rng, 3);
        world.trial[i].fitness = pbt_rng_below(&rng, 6) == 0 ? (double)NAN : 1.0;
      }
      world_ok(world_decide(&world, g));
      check_plan(&world);
    }
    seen[job.exploit.kind][job.explore.kind]++;
    world_close(&world);
  }
  for (int x = 0; x < COUNT(exploits); x++) {
    for (int e = 0; e <= PBT_EXPLORE_REPLAY; e++) {
      const struct pbt_job job = {
          .explore = {.kind = (enum pbt_explore_kind)e, .trial_steps = 1}};
      bool alone = pbt_trial_steps(&job) > 0 && exploits[x] != PBT_EXPLOIT_NONE;
      ck_assert(alone == (seen[exploits[x]][e] == 0));
    }
  }
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

/* ---- a million explores ---- */

START_TEST(a_million_explores_stay_legal_and_move) {
  for (int k = 0; k < COUNT(explores); k++) {
    for (int bounds = 0; bounds < 2; bounds++) {
      struct pbt_job job = job_of(20);
      job.exploit.kind = PBT_EXPLOIT_NONE;
      job.explore.kind = explores[k];
      job.explore.who = PBT_WHO_ALL;
      job.explore.bounds = (enum pbt_bounce)bounds;
      struct population_world world;
      world_reports_only(&job, &world);
      world.plan[0].value[1] = 0; // a real at 0
      bool left_0 = false;
      for (int g = 0; g < 25000; g++) { // 20 members, two kinds of bounds
        struct pbt_step_plan before[20];
        memcpy(before, world.plan, sizeof before);
        world_ok(world_decide(&world, g));
        check_plan(&world);
        left_0 |= world.plan[0].value[1] > 0;
        for (int i = 0; i < 20 && explores[k] != PBT_EXPLORE_NONE; i++) {
          bool stuck = world.plan[i].value[3] == before[i].value[3] ||
                       world.plan[i].value[4] == before[i].value[4];
          if (stuck && explores[k] != PBT_EXPLORE_RESAMPLE) {
            ck_abort_msg("an int or an option did not move");
          }
        }
      }
      ck_assert(left_0 == (explores[k] != PBT_EXPLORE_NONE));
      world_close(&world);
    }
  }
}
END_TEST

/* Reflected in the logarithm, neither 0.8 and 1.25 nor normal steps favour a place: the
 * mean of a million positions is the middle. */
START_TEST(explores_do_not_drift) {
  const enum pbt_explore_kind kind[] = {PBT_EXPLORE_PERTURB, PBT_EXPLORE_NORMAL};
  for (int k = 0; k < 2; k++) {
    struct pbt_job job = job_of(50);
    job.exploit.kind = PBT_EXPLOIT_NONE;
    job.explore.kind = kind[k];
    job.explore.who = PBT_WHO_ALL;
    job.explore.bounds = PBT_REFLECT;
    struct population_world world;
    world_reports_only(&job, &world);
    double sum = 0;
    for (int g = 0; g < 20000; g++) {
      world_ok(world_decide(&world, g));
      for (int i = 0; i < 50; i++) {
        sum += pbt_hparam_to_unit(&job.search.hparam[0], world.plan[i].value[0]);
      }
    }
    printf("mean place %.4f\n", sum / 1e6);
    /* A walk forgets its place in about 1700 steps (0.024 of the range each), so a
     * million positions are some 600 apart: the mean's error is 0.29 / 600^0.5 = 0.012.
     */
    ck_assert_double_eq_tol(sum / 1e6, 0.5, 0.04);
    world_close(&world);
  }
}
END_TEST

/* ---- one by one ---- */

START_TEST(a_tournament_lets_every_loser_copy_its_opponent) {
  struct pbt_job job = job_of(9);
  job.exploit.kind = PBT_EXPLOIT_TOURNAMENT;
  job.explore.kind = PBT_EXPLORE_NONE;
  int met[9][9] = {{0}};
  struct population_world world;
  world_reports_only(&job, &world);
  for (int g = 0; g < 4000; g++) {
    int copies = 0;
    for (int i = 0; i < 9; i++) {
      world.report[i].fitness = i;
    }
    world_ok(world_decide(&world, g));
    for (int i = 0; i < 9; i++) {
      int donor = world.plan[i].donor;
      copies += donor != i;
      met[i][donor]++;
      if (donor < i) {
        ck_abort_msg("%d copied %d, which is worse", i, donor);
      }
    }
    if (copies != 4) {
      ck_abort_msg("%d copies", copies);
    }
  }
  for (int i = 0; i < 9; i++) { // each pair is met in one of nine rounds
    for (int j = i + 1; j < 9; j++) {
      ck_assert_int_gt(met[i][j], 4000 / 9 - 110);
      ck_assert_int_lt(met[i][j], 4000 / 9 + 110);
    }
  }
  world_close(&world);
}
END_TEST

static void rounds(struct population_world *world, int from, int to,
                   const double mean[]) {
  for (int g = from; g < to; g++) {
    for (int64_t i = 0; i < world->n; i++) {
      struct pbt_rng rng = pbt_rng_open(1, (uint32_t)i, PBT_RNG_TEST, (uint64_t)g);
      world->report[i].fitness = mean[i] + 0.01 * pbt_rng_normal(&rng);
    }
    world_ok(world_decide(world, g));
  }
}

START_TEST(the_t_test_copies_what_is_surely_better_and_takes_its_history) {
  struct pbt_job job = job_of(2);
  job.exploit.kind = PBT_EXPLOIT_TTEST;
  job.exploit.window = 10;
  job.exploit.level = 0.01;
  job.explore.kind = PBT_EXPLORE_NONE;
  job.ready.burn_in = 8;
  const double apart[] = {0.5, 0.6};
  struct population_world world;
  world_reports_only(&job, &world);
  rounds(&world, 0, 8, apart);
  ck_assert_int_eq(world.plan[0].donor, 0); // scores are remembered, nobody copies
  rounds(&world, 8, 9, apart);
  ck_assert_int_eq(world.plan[0].donor, 1);
  const double *score = pbt_memory_at(&world.memory, "ttest/score");
  ck_assert_mem_eq(score, score + 10, 9 * sizeof *score);
  rounds(&world, 9, 10, apart); // now both have nearly the same history
  ck_assert_int_eq(world.plan[0].donor, 0);
  const double alone[] = {(double)NAN, 0.6};
  rounds(&world, 10, 11, alone); // who diverged has no history but its donor's
  ck_assert_int_eq(world.plan[0].donor, 1);
  const int64_t *count = pbt_memory_at(&world.memory, "ttest/count");
  ck_assert_int_eq(count[0], 11);
  ck_assert_mem_eq(score, score + 10, 10 * sizeof *score);
  world_close(&world);
  const double near[] = {0.5, 0.5};
  int copies = 0;
  for (int s = 0; s < 300; s++) {
    job.seed = (uint64_t)s;
    job.ready.burn_in = 9;
    world_reports_only(&job, &world);
    rounds(&world, s * 100, s * 100 + 10, near);
    copies += world.plan[0].donor == 1;
    world_close(&world);
  }
  ck_assert_int_lt(copies, 12); // 1 % of 300 is 3
}
END_TEST

START_TEST(the_t_test_follows_a_chain_to_its_end) {
  struct pbt_job job = job_of(12);
  job.exploit.kind = PBT_EXPLOIT_TTEST;
  job.explore.kind = PBT_EXPLORE_NONE;
  job.ready.burn_in = 5;
  double mean[12];
  for (int i = 0; i < 12; i++) {
    mean[i] = i;
  }
  struct population_world world;
  world_reports_only(&job, &world);
  rounds(&world, 0, 6, mean);
  check_plan(&world);
  int copies = 0;
  for (int i = 0; i < 12; i++) {
    copies += world.plan[i].donor != i;
    ck_assert_int_ge(world.plan[i].donor, i);
  }
  ck_assert_int_ge(copies, 4); // half of them draw a better one
  world_close(&world);
}
END_TEST

START_TEST(the_guard_of_dexpbt_holds_copies_back_but_lets_values_move) {
  struct pbt_job job = job_of(10);
  job.guard.kind = PBT_GUARD_DEXPBT;
  struct population_world world;
  world_reports_only(&job, &world);
  for (int i = 0; i < 10; i++) {
    world.report[i].fitness = 1 + 0.001 * i; // within 5 % of the donor
  }
  world.report[4].fitness = (double)NAN;
  double before = world.plan[0].value[0];
  ck_ok(world_decide(&world, 0));
  ck_assert_int_eq(world.plan[0].donor, 0);
  ck_assert_int_eq(world.plan[0].move[0], PBT_MOVE_PERTURBED);
  ck_assert_double_ne(world.plan[0].value[0], before);
  ck_assert_int_eq(world.plan[9].move[0], PBT_MOVE_NONE);
  ck_assert_int_ne(world.plan[4].donor, 4);
  world.report[0].fitness = 0.1;
  ck_ok(world_decide(&world, 1));
  ck_assert_int_ne(world.plan[0].donor, 0);
  world_close(&world);
}
END_TEST

/* A rival may be the better one on a member's own part, and worse on the whole. */
START_TEST(the_guard_of_dexpbt_lets_nobody_copy_what_is_worse) {
  for (int sense = 0; sense < 2; sense++) {
    struct pbt_job job = job_of(2);
    job.exploit.kind = PBT_EXPLOIT_LTFB;
    job.guard.kind = PBT_GUARD_DEXPBT;
    job.task.sense = (enum pbt_sense)sense;
    double sign = sense == PBT_MAXIMIZE ? 1 : -1;
    struct population_world world;
    world_reports_only(&job, &world);
    for (int worse = 0; worse < 2; worse++) {
      world.report[0].fitness = sign * (worse ? 4 : 1);
      world.report[1].fitness = 2 * sign;
      world_ok(world_propose(&world, worse));
      for (int i = 0; i < 2; i++) { // both like 1 better
        world.trial[i].parent = sign * i;
        world.trial[i].fitness = sign * (1 - i);
      }
      world_ok(world_decide(&world, worse));
      ck_assert_int_eq(world.plan[0].donor, worse ? 0 : 1);
      ck_assert_int_eq(world.plan[1].donor, 1);
    }
    world_close(&world);
  }
}
END_TEST

START_TEST(the_guard_of_welch_wants_evidence) {
  struct pbt_job job = job_of(10);
  job.guard.kind = PBT_GUARD_WELCH;
  job.explore.kind = PBT_EXPLORE_NONE;
  struct population_world world;
  world_reports_only(&job, &world);
  const double apart[10] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  rounds(&world, 0, 1, apart); // one score proves nothing
  ck_assert_int_eq(world.plan[0].donor, 0);
  rounds(&world, 1, 2, apart);
  ck_assert_int_ne(world.plan[0].donor, 0);
  world_close(&world);
}
END_TEST

static struct pbt_job job_of_mfpbt(void) {
  struct pbt_job job = job_of(16);
  job.exploit.kind = PBT_EXPLOIT_MFPBT;
  job.exploit.n_period = 2;
  job.exploit.period[0] = 1;
  job.exploit.period[1] = 3;
  return job;
}

START_TEST(mfpbt_evolves_each_part_at_its_period_and_lets_the_best_in) {
  struct pbt_job job = job_of_mfpbt();
  struct population_world world;
  world_reports_only(&job, &world);
  double value[16];
  for (int i = 0; i < 16; i++) { // members 0 to 7 are fast, 8 to 15 slow and better
    world.report[i].fitness = i;
    value[i] = world.plan[i].value[2];
  }
  ck_ok(world_decide(&world, 0)); // only the fast ones' turn
  const int donor[] = {7, 6, 15, 14, 4, 5, 6, 7};
  for (int i = 0; i < 8; i++) {
    ck_assert_int_eq(world.plan[i].donor, donor[i]);
  }
  ck_assert_double_eq(world.plan[2].value[2], value[15]); // from a slower part: as it was
  ck_assert_double_ne(world.plan[0].value[2], value[7]);  // copied and moved
  for (int i = 8; i < 16; i++) {
    ck_assert_int_eq(world.plan[i].donor, i);
  }
  for (int i = 0; i < 16; i++) {
    world.report[i].fitness = -i; // now the fast ones are better
    value[i] = world.plan[i].value[2];
  }
  ck_ok(world_decide(&world, 2)); // the turn of both
  ck_assert_int_eq(world.plan[13].donor, 0);
  ck_assert_int_eq(world.plan[12].donor, 1);
  ck_assert_double_eq(world.plan[13].value[2], value[8]); // values of the best here
  ck_assert_int_eq(world.plan[15].donor, 8);
  ck_assert_int_eq(world.plan[5].donor, 5); // no better migrant
  world_close(&world);
}
END_TEST

/* Any member may have diverged, and a whole sub-population. */
START_TEST(every_plan_of_mfpbt_is_a_function) {
  struct pbt_rng rng = pbt_rng_open(5, 0, PBT_RNG_TEST, 0);
  for (int k = 0; k < COUNT(guards); k++) {
    struct pbt_job job = job_of_mfpbt();
    job.guard.kind = guards[k];
    struct population_world world;
    world_reports_only(&job, &world);
    for (int g = 0; g < 20000; g++) {
      uint32_t lost = pbt_rng_below(&rng, 6); // 0, 1: these eight
      for (uint32_t i = 0; i < 16; i++) {
        bool dead = pbt_rng_below(&rng, 5) == 0 || i / 8 == lost;
        world.report[i].fitness = dead ? (double)NAN : (double)pbt_rng_below(&rng, 9);
      }
      world_ok(world_decide(&world, g));
      check_plan(&world);
    }
    world_close(&world);
  }
}
END_TEST

/* A trial is taken when it is not worse than its parent, and never when it broke; what
 * is proposed is legal; who retires never comes back. */
static void check_trials(const struct population_world *world,
                         const struct pbt_step_plan before[]) {
  const struct pbt_job *job = world->job;
  for (int64_t i = 0; i < world->n; i++) {
    const struct pbt_trial *trial = &world->trial[i];
    bool better = job->task.sense == PBT_MAXIMIZE ? trial->fitness >= trial->parent
                                                  : trial->fitness <= trial->parent;
    better = isfinite(trial->fitness) && (better || isnan(trial->parent));
    bool good = world->plan[i].takes_trial == (trial->tries && better);
    good = good && !(trial->tries && world->asleep[i] == -1);
    const double *value = world->plan[i].takes_trial ? trial->value : before[i].value;
    for (int h = 0; h < job->search.n; h++) {
      good = good && (world->plan[i].donor == -1 || world->plan[i].value[h] == value[h]);
      good = good && (!trial->tries || legal(&job->search.hparam[h], trial->value[h]));
      good = good && legal(&job->search.hparam[h], world->plan[i].value[h]);
    }
    if (!good) {
      ck_abort_msg("%s: member %lld", pbt_explore_method(job->explore.kind)->name,
                   (long long)i);
    }
  }
}

START_TEST(trials_are_legal_and_the_better_end_is_kept) {
  struct pbt_rng rng = pbt_rng_open(8, 0, PBT_RNG_TEST, 0);
  int64_t tried[PBT_EXPLORE_REPLAY + 1] = {0};
  for (int k = 0; k < COUNT(trying) * 12; k++) {
    struct pbt_job job = job_of(4 + pbt_rng_below(&rng, 20));
    job.exploit.kind = PBT_EXPLOIT_NONE;
    job.explore.kind = trying[k % COUNT(trying)];
    job.task.sense = (enum pbt_sense)pbt_rng_below(&rng, 2);
    struct population_world world;
    world_reports_only(&job, &world);
    int rounds = job.explore.kind == PBT_EXPLORE_LSHADE ? 26000 : 12000; // of 4 members
    for (int g = 0; g < rounds; g++) {
      for (int64_t i = 0; i < world.n; i++) {
        world.asleep[i] = world.asleep[i] != 0 ? -1 : 0; // retired before this round
        bool dead = pbt_rng_below(&rng, 9) == 0 || world.asleep[i] != 0;
        world.report[i].fitness = dead ? (double)NAN : pbt_rng_uniform(&rng);
      }
      world_ok(world_propose(&world, g));
      struct pbt_step_plan before[WORLD_MOST];
      memcpy(before, world.plan, sizeof before);
      for (int64_t i = 0; i < world.n; i++) {
        tried[job.explore.kind] += world.trial[i].tries;
        double score = (double)pbt_rng_below(&rng, 5) / 4;
        world.trial[i].parent = pbt_rng_below(&rng, 20) == 0 ? (double)NAN : 0.5;
        world.trial[i].fitness = score == 0.25 ? (double)NAN : score;
      }
      world_ok(world_decide(&world, g));
      check_trials(&world, before);
    }
    int64_t asleep = 0;
    for (int64_t i = 0; i < world.n; i++) {
      asleep += world.asleep[i] != 0;
    }
    ck_assert_int_eq(asleep, job.explore.kind == PBT_EXPLORE_LSHADE ? world.n - 4 : 0);
    world_close(&world);
  }
  for (int k = 0; k < COUNT(trying); k++) {
    printf("%s: %lld trials\n", pbt_explore_method(trying[k])->name,
           (long long)tried[trying[k]]);
    ck_assert_int_gt(tried[trying[k]], 1000000);
  }
}
END_TEST

/* The names of the table are the words of the job file. */
START_TEST(methods_are_named_as_in_the_job_file) {
  for (int k = 0; k < COUNT(exploits); k++) {
    ck_assert(pbt_exploit_method(exploits[k])->what[0] != '\0');
  }
  struct pbt_text text = {0};
  pbt_methods_describe(&text);
  const char *const word[] = {"truncation", "tournament", "ttest",  "welch", "dexpbt",
                              "perturb",    "normal",     "mfpbt",  "ltfb",  "resample",
                              "de",         "shade",      "lshade", "pb2",   "cosine",
                              "step",       "replay",     "none"};
  for (int i = 0; i < COUNT(word); i++) {
    ck_assert_msg(strstr(text.data, word[i]) != NULL, "%s", word[i]);
  }
  pbt_text_free(&text);
}
END_TEST

PBT_TEST_MAIN("methods", every_plan_of_every_method_is_a_function,
              a_million_explores_stay_legal_and_move, explores_do_not_drift,
              a_tournament_lets_every_loser_copy_its_opponent,
              the_t_test_copies_what_is_surely_better_and_takes_its_history,
              the_t_test_follows_a_chain_to_its_end,
              the_guard_of_dexpbt_holds_copies_back_but_lets_values_move,
              the_guard_of_dexpbt_lets_nobody_copy_what_is_worse,
              the_guard_of_welch_wants_evidence,
              mfpbt_evolves_each_part_at_its_period_and_lets_the_best_in,
              every_plan_of_mfpbt_is_a_function,
              trials_are_legal_and_the_better_end_is_kept,
              methods_are_named_as_in_the_job_file)
