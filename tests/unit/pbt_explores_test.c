/*
 * A million explores of each method that moves values by a plan of its own: PB2 (fewer by
 * default: unit.pb2_million_1 to _4 ask for all), cosine, step, replay.  perturb,
 * resample, normal and the trials of differential evolution are in pbt_methods_test.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "pbt/seeding.h"
#include "tests/population_world.h"

enum { MEMBERS = 20 };

static struct pbt_job job_of(enum pbt_explore_kind kind) {
  struct pbt_job job = {.seed = 5};
  job.population.size = MEMBERS;
  job.budget.generations = 1 << 30;
  job.exploit.kind = PBT_EXPLOIT_NONE;
  job.explore.kind = kind;
  job.explore.who = PBT_WHO_ALL;
  job.explore.n_factor = 2;
  job.explore.factor[0] = 0.8;
  job.explore.factor[1] = 1.25;
  job.explore.probability = 1;
  job.search.n = 3;
  struct pbt_hparam *h = job.search.hparam;
  h[0] = (struct pbt_hparam){.name = "lr", .kind = PBT_LOG, .low = 1e-4, .high = 1};
  h[1] = (struct pbt_hparam){.name = "momentum", .kind = PBT_REAL, .high = 0.99};
  h[2] = (struct pbt_hparam){.name = "x", .kind = PBT_REAL, .low = -3, .high = 8};
  for (int i = 0; i < job.search.n; i++) {
    h[i].start_low = h[i].low;
    h[i].start_high = h[i].high;
  }
  return job;
}

static void check_legal(const struct population_world *world) {
  for (int64_t i = 0; i < world->n; i++) {
    for (int32_t h = 0; h < world->job->search.n; h++) {
      const struct pbt_hparam *hparam = &world->job->search.hparam[h];
      double value = world->plan[i].value[h];
      if (!(value >= hparam->low && value <= hparam->high)) {
        ck_abort_msg("%s is %g", hparam->name, value);
      }
    }
  }
}

/* Scores of every sort: better ones for some values, none at all for others, ties. */
static void score(struct population_world *world, struct pbt_rng *rng) {
  for (int64_t i = 0; i < world->n; i++) {
    bool dead = pbt_rng_below(rng, 12) == 0;
    double good = floor(10 * world->plan[i].value[1]) / 10 + 0.1 * pbt_rng_uniform(rng);
    world->report[i].fitness = dead ? (double)NAN : good;
  }
}

static int64_t from_environment(const char *name, int64_t otherwise) {
  const char *text = getenv(name);
  return text != NULL ? atoll(text) : otherwise;
}

/* A population of 4 to 20 members that remembers each one's last interval up to four,
 * with 1 to 3 hyperparameters. */
static struct pbt_job any_pb2(struct pbt_rng *rng) {
  struct pbt_job job = job_of(PBT_EXPLORE_PB2);
  job.seed = pbt_rng_u64(rng);
  job.population.size = 4 + pbt_rng_below(rng, MEMBERS - 3);
  job.explore.window = job.population.size * (1 + pbt_rng_below(rng, 4));
  job.search.n = 1 + (int32_t)pbt_rng_below(rng, 3);
  job.task.sense = (enum pbt_sense)pbt_rng_below(rng, 2);
  return job;
}

/* Where the bound is often highest, and nothing leads further. */
static bool in_a_corner(const struct pbt_job *job, const double value[]) {
  bool corner = true;
  for (int32_t h = 0; h < job->search.n; h++) {
    double unit = pbt_hparam_to_unit(&job->search.hparam[h], value[h]);
    corner = corner && (unit < 1e-12 || unit > 1 - 1e-12); // an exp of a log may round
  }
  return corner;
}

START_TEST(pb2_stays_legal_and_moves) {
  int64_t wanted = from_environment("PBT_EXPLORES", 40000), explored = 0, same = 0;
  uint32_t part = (uint32_t)from_environment("PBT_EXPLORES_PART", 0);
  struct pbt_rng rng = pbt_rng_open(6, part, PBT_RNG_TEST, 0);
  pbt_log_set_rank(1, 2, "quiet"); // info comes from rank 0 only
  while (explored < wanted) {
    struct pbt_job job = any_pb2(&rng);
    struct population_world world;
    world_reports_only(&job, &world);
    for (int g = 0; g < 100; g++) {
      for (int64_t i = 0; i < world.n && job.search.n > 1; i += 3) {
        world.plan[i].value[1] = 0; // a real at 0 is no trap
      }
      struct pbt_step_plan before[MEMBERS];
      memcpy(before, world.plan, sizeof before);
      score(&world, &rng);
      world_ok(world_decide(&world, g));
      check_legal(&world);
      for (int64_t i = 0; i < world.n; i++) {
        bool alive = isfinite(world.report[i].fitness);
        explored += alive;
        bool stayed = alive && memcmp(before[i].value, world.plan[i].value,
                                      (size_t)job.search.n * sizeof(double)) == 0;
        same += stayed && !in_a_corner(&job, world.plan[i].value);
      }
    }
    world_close(&world);
  }
  printf("%lld explores of pb2, %lld stayed where they were, inside the bounds\n",
         (long long)explored, (long long)same);
  ck_assert_int_lt(same, explored / 200); // the best place may be the one in force
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

/* With fewer intervals than it learns from it perturbs: every value moves. */
START_TEST(pb2_perturbs_until_it_knows_enough) {
  struct pbt_job job = job_of(PBT_EXPLORE_PB2);
  struct population_world world;
  pbt_log_set_rank(1, 2, "quiet"); // info comes from rank 0 only
  for (int s = 0; s < 1000; s++) {
    job.seed = (uint64_t)s;
    world_reports_only(&job, &world);
    struct pbt_step_plan before[MEMBERS];
    memcpy(before, world.plan, sizeof before);
    world_ok(world_decide(&world, 0));
    check_legal(&world);
    for (int i = 0; i < MEMBERS; i++) {
      for (int h = 0; h < 3; h++) {
        if (world.plan[i].value[h] == before[i].value[h]) {
          ck_abort_msg("member %d, value %d did not move", i, h);
        }
      }
    }
    world_close(&world);
  }
}
END_TEST

/* Where all gains are equal only the unknown attracts: the first that moves goes to the
 * end of the range that is farther from what is known, and the second to the other end,
 * since the first counts as seen. */
START_TEST(pb2_goes_where_nobody_was) {
  struct pbt_job job = job_of(PBT_EXPLORE_PB2);
  job.search.n = 1;
  job.search.hparam[0] = job.search.hparam[1]; // 0 to 0.99
  struct population_world world;
  pbt_log_set_rank(1, 2, "quiet");
  for (int s = 0; s < 50; s++) {
    job.seed = (uint64_t)s;
    world_reports_only(&job, &world);
    for (int g = 0; g < 2; g++) {
      for (int i = 0; i < MEMBERS; i++) {
        world.plan[i].value[0] = 0.45 + 0.005 * i; // to 0.545
        world.report[i].fitness = g;
      }
      world_ok(world_decide(&world, g));
    }
    ck_assert_double_eq(world.plan[0].value[0], 0);
    ck_assert_double_eq(world.plan[1].value[0], 0.99);
    world_close(&world);
  }
}
END_TEST

/* Gains beyond every number cannot be learned from: members perturb as long as they are
 * remembered, and learn again afterwards. */
START_TEST(pb2_perturbs_where_it_cannot_factor) {
  struct pbt_job job = job_of(PBT_EXPLORE_PB2);
  job.explore.window = MEMBERS;
  struct population_world world;
  pbt_log_set_rank(1, 2, "quiet");
  world_reports_only(&job, &world);
  for (int g = 0; g < 6; g++) {
    struct pbt_step_plan before[MEMBERS];
    memcpy(before, world.plan, sizeof before);
    for (int i = 0; i < MEMBERS; i++) {
      world.report[i].fitness = g >= 3 || (g + i) % 2 == 0 ? 1e308 : -1e308;
    }
    world_ok(world_decide(&world, g));
    check_legal(&world);
    for (int i = 0; i < MEMBERS; i++) {
      double from = pbt_hparam_to_unit(&job.search.hparam[2], before[i].value[2]);
      double to = pbt_hparam_to_unit(&job.search.hparam[2], world.plan[i].value[2]);
      bool perturbed = fabs(fabs(to - from) - 0.2) < 1e-9 || from + to < 0.2 + 1e-9 ||
                       from + to > 1.8 - 1e-9; // or turned round at a bound
      if (g < 4 && !perturbed) {
        ck_abort_msg("generation %d: from %g to %g", g, from, to);
      }
    }
  }
  world_close(&world);
}
END_TEST

/* A million lr of each schedule: within the bounds, never rising, at the first lr's
 * shape, and nothing else moves. */
static void follow(enum pbt_explore_kind kind) {
  enum { GENERATIONS = 40 }; // a half and three quarters of it are ready steps
  struct pbt_job job = job_of(kind);
  job.budget.generations = GENERATIONS;
  struct population_world world;
  for (int s = 0; s < 1250; s++) {
    job.seed = (uint64_t)s;
    world_reports_only(&job, &world);
    struct pbt_step_plan first[MEMBERS], before[MEMBERS];
    memcpy(first, world.plan, sizeof first);
    for (int g = 0; g < GENERATIONS; g++) {
      memcpy(before, world.plan, sizeof before);
      world_ok(world_decide(&world, g));
      check_legal(&world);
      for (int i = 0; i < MEMBERS; i++) {
        const double *now = world.plan[i].value;
        double t = (g + 1.0) / GENERATIONS;
        double shape = kind == PBT_EXPLORE_COSINE ? 0.5 * (1 + cos(M_PI * t))
                       : t < 0.5                  ? 1
                       : t < 0.75                 ? 0.1
                                                  : 0.01;
        double want = fmax(first[i].value[0] * shape, 1e-4);
        want =
            g + 1 == GENERATIONS ? before[i].value[0] : want; // nothing is trained then
        bool good = now[0] <= before[i].value[0] && fabs(now[0] - want) <= 1e-12 &&
                    now[1] == first[i].value[1] && now[2] == first[i].value[2];
        if (!good) {
          ck_abort_msg("generation %d: lr %g after %g, wanted %g", g, now[0],
                       before[i].value[0], want);
        }
      }
    }
    world_close(&world);
  }
}

/* MF-PBT takes the weights of one and the values of another: the lr that falls on is the
 * other's. */
START_TEST(a_schedule_comes_with_the_values) {
  struct pbt_job job = job_of(PBT_EXPLORE_STEP);
  job.population.size = 16;
  job.budget.generations = 100;
  job.exploit.kind = PBT_EXPLOIT_MFPBT;
  job.exploit.n_period = 2;
  job.exploit.period[0] = 1;
  job.exploit.period[1] = 2;
  struct population_world world;
  world_reports_only(&job, &world);
  for (int i = 0; i < 16; i++) {
    world.report[i].fitness = -i; // the fast ones are better
  }
  double fast = world.plan[0].value[0], slow = world.plan[8].value[0];
  world_ok(world_decide(&world, 0));
  world_ok(world_decide(&world, 1)); // the turn of both
  ck_assert_int_eq(world.plan[13].donor, 0);
  ck_assert_double_eq(world.plan[13].value[0], slow);
  ck_assert_double_ne(fast, slow);
  world_close(&world);
}
END_TEST

START_TEST(cosine_falls_as_it_should) {
  follow(PBT_EXPLORE_COSINE);
}
END_TEST

START_TEST(steps_fall_as_they_should) {
  follow(PBT_EXPLORE_STEP);
}
END_TEST

START_TEST(replay_follows_the_list_whatever_the_scores) {
  struct pbt_job job = job_of(PBT_EXPLORE_REPLAY);
  struct pbt_rng rng = pbt_rng_open(7, 0, PBT_RNG_TEST, 0);
  struct pbt_hparam *lr = &job.search.hparam[0];
  lr->n_schedule = 300;
  for (int g = 0; g < 300; g++) {
    lr->schedule[g] = pbt_hparam_draw(lr, &rng);
  }
  struct population_world world;
  for (int s = 0; s < 125; s++) {
    world_reports_only(&job, &world);
    for (int g = 0; g < 400; g++) {
      score(&world, &rng);
      world_ok(world_decide(&world, g));
      check_legal(&world);
      for (int i = 0; i < MEMBERS; i++) {
        if (world.plan[i].value[0] != lr->schedule[g + 1 < 300 ? g + 1 : 299]) {
          ck_abort_msg("generation %d, member %d", g, i);
        }
      }
    }
    world_close(&world);
  }
}
END_TEST

PBT_TEST_MAIN("explores", pb2_stays_legal_and_moves, pb2_perturbs_until_it_knows_enough,
              pb2_goes_where_nobody_was, pb2_perturbs_where_it_cannot_factor,
              a_schedule_comes_with_the_values, cosine_falls_as_it_should,
              steps_fall_as_they_should, replay_follows_the_list_whatever_the_scores)
