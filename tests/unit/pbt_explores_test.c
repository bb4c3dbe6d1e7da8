/*
 * A million explores of each method that moves values by a plan of its own: PB2 (as many
 * as a few seconds allow), cosine, step, replay.  perturb, resample, normal and the
 * trials of differential evolution are in pbt_methods_test.c.
 */
#include <math.h>
#include <stdio.h>
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

START_TEST(pb2_stays_legal_and_moves) {
  struct pbt_job job = job_of(PBT_EXPLORE_PB2);
  struct pbt_rng rng = pbt_rng_open(6, 0, PBT_RNG_TEST, 0);
  struct population_world world;
  world_reports_only(&job, &world);
  int64_t explored = 0, same = 0;
  for (int g = 0; g < 1500; g++) {
    for (int i = 0; i < MEMBERS; i += 3) {
      world.plan[i].value[1] = 0; // a real at 0 is no trap
    }
    struct pbt_step_plan before[MEMBERS];
    memcpy(before, world.plan, sizeof before);
    score(&world, &rng);
    world_ok(world_decide(&world, g));
    check_legal(&world);
    for (int i = 0; i < MEMBERS; i++) {
      bool alive = isfinite(world.report[i].fitness);
      explored += alive;
      same +=
          alive && memcmp(before[i].value, world.plan[i].value, 3 * sizeof(double)) == 0;
    }
  }
  printf("%lld explores of pb2, %lld stayed where they were\n", (long long)explored,
         (long long)same);
  ck_assert_int_gt(explored, 25000);
  ck_assert_int_lt(same, explored / 100); // the best place may be the one in force
  world_close(&world);
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

/* A million lr of each schedule: within the bounds, never rising, at the first lr's
 * shape, and nothing else moves. */
static void follow(enum pbt_explore_kind kind) {
  enum { GENERATIONS = 50 };
  struct pbt_job job = job_of(kind);
  job.budget.generations = GENERATIONS;
  struct population_world world;
  for (int s = 0; s < 1000; s++) {
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
              cosine_falls_as_it_should, steps_fall_as_they_should,
              replay_follows_the_list_whatever_the_scores)
