/*
 * LTFB and trials on a part of the validation split: who meets whom, what each is judged
 * on, and who copies whom then.
 */
#include <math.h>

#include "pbt/explore/differential.h"
#include "tests/population_world.h"

enum { N = 9, SAMPLES = 1000 };

static struct pbt_job job_of(double share) {
  struct pbt_job job = {.seed = 3};
  job.population.size = N;
  job.budget.generations = 1 << 30;
  job.exploit.kind = PBT_EXPLOIT_LTFB;
  job.exploit.share = share;
  job.explore.kind = PBT_EXPLORE_NONE;
  job.search.n = 1;
  job.search.hparam[0] =
      (struct pbt_hparam){.name = "h", .kind = PBT_REAL, .high = 1, .start_high = 1};
  return job;
}

static void all_score(struct population_world *world, double fitness) {
  for (int i = 0; i < N; i++) {
    world->report[i].fitness = fitness;
  }
}

static void propose(struct population_world *world, int64_t generation) {
  struct pbt_round round = world_round(world, generation);
  round.n_validation = SAMPLES;
  world_ok(pbt_propose(&round, &world->memory, world->plan, world->trial));
}

static void decide(struct population_world *world, int64_t generation) {
  struct pbt_round round = world_round(world, generation);
  round.n_validation = SAMPLES;
  round.trial = world->trial;
  world_ok(pbt_decide(&round, &world->memory, world->restarts, world->plan));
}

START_TEST(everybody_meets_everybody_and_one_sits_out) {
  struct pbt_job job = job_of(0.25);
  struct population_world world;
  world_reports_only(&job, &world);
  all_score(&world, 0.5);
  int met[N][N] = {{0}};
  for (int g = 0; g < 4000; g++) {
    propose(&world, g);
    int out = 0;
    for (int i = 0; i < N; i++) {
      int rival = world.trial[i].rival;
      out += rival < 0;
      if (rival >= 0) {
        met[i][rival]++;
        if (world.trial[rival].rival != i) {
          ck_abort_msg("%d meets %d, who meets another", i, rival);
        }
      }
    }
    if (out != 1) {
      ck_abort_msg("%d sit out", out);
    }
  }
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++) {
      ck_assert_int_gt(met[i][j], i == j ? -1 : 4000 / N - 110);
      ck_assert_int_lt(met[i][j], i == j ? 1 : 4000 / N + 110);
    }
  }
  world_close(&world);
}
END_TEST

/* A part belongs to a member for the whole run; small parts do not overlap, and together
 * they reach from one end of the split to the other. */
START_TEST(each_member_judges_on_its_own_part) {
  struct pbt_job job = job_of(1.0 / N);
  struct population_world world;
  world_reports_only(&job, &world);
  all_score(&world, 0.5);
  int owner[SAMPLES] = {0};
  int64_t begin[N];
  for (int g = 0; g < 20; g++) {
    propose(&world, g);
    for (int i = 0; i < N; i++) {
      const struct pbt_trial *trial = &world.trial[i];
      if (trial->rival < 0) {
        continue;
      }
      ck_assert_int_eq(trial->count, SAMPLES / N);
      for (int64_t s = trial->begin; s < trial->begin + trial->count; s++) {
        ck_assert(s < SAMPLES && (owner[s] == 0 || owner[s] == i + 1));
        owner[s] = i + 1;
      }
      begin[i] = trial->begin;
    }
  }
  ck_assert_int_ne(owner[0], 0);
  ck_assert_int_ne(owner[SAMPLES - 1], 0);
  job.seed = 4; // another run deals them otherwise
  int moved = 0;
  for (int g = 0; g < 20; g++) {
    propose(&world, g);
    for (int i = 0; i < N; i++) {
      moved += world.trial[i].rival >= 0 && world.trial[i].begin != begin[i];
    }
  }
  ck_assert_int_gt(moved, 0);
  job.exploit.share = 1;
  propose(&world, 0);
  for (int i = 0; i < N; i++) {
    ck_assert_int_eq(world.trial[i].count, 0); // the whole split
  }
  world_close(&world);
}
END_TEST

/* Of a pair, who finds the other better copies it; a tie keeps its own; where both want
 * to, or the scores are no numbers, nobody does. */
START_TEST(a_copy_must_convince_its_receiver) {
  struct pbt_job job = job_of(0.25);
  struct population_world world;
  for (int minimize = 0; minimize < 2; minimize++) {
    job.task.sense = minimize ? PBT_MINIMIZE : PBT_MAXIMIZE;
    double better = minimize ? 0.4 : 0.6, worse = minimize ? 0.6 : 0.4;
    world_reports_only(&job, &world);
    all_score(&world, 0.5);
    for (int g = 0; g < 50; g++) {
      propose(&world, g);
      const double found[][2] = {
          {better, worse}, {0.5, worse}, {better, better}, {(double)NAN, worse}};
      const bool copies[] = {true, false, false, false};
      int a = g % N, b = world.trial[a].rival;
      for (int i = 0; i < N; i++) {
        world.trial[i].parent = world.trial[i].fitness = 0.5;
      }
      if (b >= 0) {
        world.trial[a].fitness = found[g % 4][0];
        world.trial[b].fitness = found[g % 4][1];
      }
      decide(&world, g);
      for (int i = 0; i < N; i++) {
        int donor = i == a && b >= 0 && copies[g % 4] ? b : i;
        ck_assert_int_eq(world.plan[i].donor, donor);
      }
    }
    world_close(&world);
  }
}
END_TEST

START_TEST(who_diverged_takes_its_opponents_weights) {
  struct pbt_job job = job_of(0.25);
  struct population_world world;
  world_reports_only(&job, &world);
  for (int g = 0; g < 200; g++) {
    all_score(&world, 0.5);
    world.report[g % N].fitness = (double)NAN;
    propose(&world, g);
    ck_assert_int_eq(world.trial[g % N].rival, -1);
    for (int i = 0; i < N; i++) {
      ck_assert_int_ne(world.trial[i].rival, g % N); // nobody is asked to score it
      world.trial[i].parent = world.trial[i].fitness = 0.5;
    }
    decide(&world, g);
    ck_assert_int_ge(world.plan[g % N].donor, 0);
    ck_assert_int_ne(world.plan[g % N].donor, g % N);
  }
  world_close(&world);
}
END_TEST

START_TEST(trials_may_be_scored_on_a_few_batches) {
  struct pbt_job job = job_of(0.25);
  job.exploit.kind = PBT_EXPLOIT_NONE;
  job.explore.trial_steps = 1;
  job.explore.trial_batches = 2;
  job.explore.memory = 5;
  job.explore.best = 0.2;
  job.explore.archive = 2;
  job.explore.scale = 0.5;
  job.explore.crossover = 0.8;
  job.optimizer.batch_size = 50;
  const enum pbt_explore_kind kind[] = {PBT_EXPLORE_DE, PBT_EXPLORE_SHADE};
  for (int k = 0; k < 2; k++) {
    job.explore.kind = kind[k];
    struct population_world world;
    world_reports_only(&job, &world);
    bool seen[SAMPLES] = {false};
    for (int g = 0; g < 300; g++) {
      all_score(&world, 0.5);
      propose(&world, g);
      for (int i = 0; i < N; i++) {
        ck_assert_int_eq(world.trial[i].count, 100);
        ck_assert_int_ge(world.trial[i].begin, 0);
        ck_assert_int_le(world.trial[i].begin, SAMPLES - 100);
        seen[world.trial[i].begin] = true;
        world.trial[i].parent = 0.5;
        world.trial[i].fitness = 0.5 + (i % 2 == 0 ? 0.01 : -0.01);
      }
      decide(&world, g);
      for (int i = 0; i < N; i++) {
        ck_assert_int_eq(world.plan[i].takes_trial, i % 2 == 0);
      }
    }
    int places = 0;
    for (int s = 0; s < SAMPLES; s++) {
      places += seen[s];
    }
    ck_assert_int_gt(places, 800);  // 2,700 draws of 901 places
    job.explore.trial_batches = 20; // as many as there are: all of them, at once
    propose(&world, 300);
    ck_assert_int_eq(world.trial[0].count, 0);
    job.explore.trial_batches = 2;
    world_close(&world);
  }
}
END_TEST

/* 100 of 1000 samples weigh a tenth. */
START_TEST(their_scores_weigh_as_much_as_they_hold) {
  struct pbt_job job = job_of(0.25);
  struct population_world world;
  world_reports_only(&job, &world);
  all_score(&world, 0.5);
  struct pbt_round round = world_round(&world, 0);
  round.n_validation = SAMPLES;
  round.trial = world.trial;
  world.trial[2] = (struct pbt_trial){.count = 100, .parent = 0.3, .fitness = 0.7};
  struct pbt_trial judged = pbt_judged(&round, 2);
  ck_assert_double_eq_tol(judged.parent, 0.48, 1e-15);
  ck_assert_double_eq_tol(judged.fitness, 0.52, 1e-15);
  world.trial[2].count = 0; // the whole split: as scored
  judged = pbt_judged(&round, 2);
  ck_assert_double_eq(judged.parent, 0.3);
  ck_assert_double_eq(judged.fitness, 0.7);
  world_close(&world);
}
END_TEST

PBT_TEST_MAIN("ltfb", everybody_meets_everybody_and_one_sits_out,
              each_member_judges_on_its_own_part, a_copy_must_convince_its_receiver,
              who_diverged_takes_its_opponents_weights,
              trials_may_be_scored_on_a_few_batches,
              their_scores_weigh_as_much_as_they_hold)
