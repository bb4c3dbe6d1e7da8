#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "pbt/decide.h"
#include "pbt/rank.h"
#include "tests/test.h"

enum { MOST = 64 };

/* A population that exists only as reports. */
struct world {
  struct pbt_job job;
  struct pbt_report report[MOST];
  int32_t order[MOST];
  int64_t restarts[MOST];
  struct pbt_step_plan plan[MOST];
  struct pbt_memory memory;
};

static struct world world_of(int64_t n) {
  struct world world;
  memset(&world, 0, sizeof world);
  world.job.seed = 11;
  world.job.population.size = n;
  world.job.exploit.kind = PBT_EXPLOIT_TRUNCATION;
  world.job.exploit.fraction = 0.2;
  world.job.explore.kind = PBT_EXPLORE_PERTURB;
  world.job.explore.n_factor = 2;
  world.job.explore.factor[0] = 0.8;
  world.job.explore.factor[1] = 1.25;
  world.job.explore.probability = 1;
  world.job.search.n = 2;
  world.job.search.hparam[0] = (struct pbt_hparam){.name = "lr",
                                                   .kind = PBT_LOG,
                                                   .low = 1e-4,
                                                   .high = 1,
                                                   .start_low = 1e-4,
                                                   .start_high = 1};
  world.job.search.hparam[1] = (struct pbt_hparam){
      .name = "momentum", .kind = PBT_REAL, .low = 0, .high = 0.99, .start_high = 0.99};
  for (int64_t i = 0; i < n; i++) {
    world.report[i].fitness = (double)i;
    pbt_seed_hparams(&world.job, (uint32_t)i, 0, world.plan[i].value);
  }
  return world;
}

static pbt_status decide(struct world *world, int64_t generation, bool last) {
  int64_t n = world->job.population.size;
  int64_t n_finite = pbt_rank(world->report, n, world->job.task.sense, world->job.seed,
                              generation, world->order);
  const struct pbt_round round = {.job = &world->job,
                                  .generation = generation,
                                  .last = last,
                                  .n = n,
                                  .report = world->report,
                                  .order = world->order,
                                  .n_finite = n_finite};
  return pbt_decide(&round, &world->memory, world->restarts, world->plan);
}

static int copies(const struct world *world) {
  int count = 0;
  for (int64_t i = 0; i < world->job.population.size; i++) {
    count += world->plan[i].donor != i;
  }
  return count;
}

START_TEST(a_quantile_is_neither_empty_nor_more_than_half) {
  ck_assert_int_eq(pbt_quantile(0.2, 1), 0);
  ck_assert_int_eq(pbt_quantile(0.2, 2), 1);
  ck_assert_int_eq(pbt_quantile(0.2, 3), 1);
  ck_assert_int_eq(pbt_quantile(0.2, 10), 2);
  ck_assert_int_eq(pbt_quantile(0.2, 11), 3);
  ck_assert_int_eq(pbt_quantile(0.5, 5), 2);
}
END_TEST

START_TEST(the_worst_fifth_copies_the_best_fifth_and_moves_inside_the_bounds) {
  struct world world = world_of(10);
  struct world before = world;
  ck_ok(decide(&world, 3, false));
  ck_assert_int_eq(copies(&world), 2);
  for (int i = 0; i < 2; i++) {
    int32_t donor = world.plan[i].donor;
    ck_assert(donor == 8 || donor == 9);
    ck_assert_int_eq(world.plan[i].event, PBT_COPIED);
    double factor = world.plan[i].value[0] / before.plan[donor].value[0];
    ck_assert(fabs(factor - 0.8) < 1e-9 || fabs(factor - 1.25) < 1e-9 ||
              world.plan[i].value[0] == 1e-4 || world.plan[i].value[0] == 1);
    ck_assert_int_eq(world.plan[i].move[0], PBT_MOVE_PERTURBED);
  }
  for (int i = 2; i < 10; i++) {
    ck_assert_int_eq(world.plan[i].event, PBT_KEPT);
    ck_assert_mem_eq(world.plan[i].value, before.plan[i].value,
                     sizeof before.plan[i].value);
  }
}
END_TEST

START_TEST(nobody_copies_during_burn_in_or_after_the_last_evaluation) {
  struct world world = world_of(10);
  world.job.ready.burn_in = 4;
  ck_ok(decide(&world, 3, false));
  ck_assert_int_eq(copies(&world), 0);
  ck_ok(decide(&world, 4, false));
  ck_assert_int_eq(copies(&world), 2);
  world = world_of(10);
  ck_ok(decide(&world, 9, true));
  ck_assert_int_eq(copies(&world), 0);
}
END_TEST

START_TEST(every_diverged_member_is_rescued_and_none_gives) {
  struct world world = world_of(10);
  world.report[9].fitness = NAN;
  world.report[5].fitness = INFINITY;
  ck_ok(decide(&world, 0, false));
  ck_assert_int_eq(world.plan[9].event, PBT_DIVERGED);
  ck_assert_int_eq(world.plan[5].event, PBT_DIVERGED);
  for (int i = 0; i < 10; i++) {
    ck_assert_int_ne(world.plan[i].donor, -1);
    ck_assert(world.plan[i].donor == i ||
              isfinite(world.report[world.plan[i].donor].fitness));
  }
}
END_TEST

START_TEST(without_a_donor_the_diverged_start_afresh) {
  struct world world = world_of(4);
  for (int i = 0; i < 4; i++) {
    world.report[i].fitness = NAN;
  }
  struct world before = world;
  ck_ok(decide(&world, 0, false));
  for (int i = 0; i < 4; i++) {
    ck_assert_int_eq(world.plan[i].donor, -1);
    ck_assert_int_eq(world.plan[i].event, PBT_RESTARTED);
    ck_assert_int_eq(world.restarts[i], 1);
    ck_assert_double_ne(world.plan[i].value[0], before.plan[i].value[0]);
  }
}
END_TEST

START_TEST(random_search_never_copies) {
  struct world world = world_of(10);
  world.job.exploit.kind = PBT_EXPLOIT_NONE;
  world.report[2].fitness = NAN;
  ck_ok(decide(&world, 5, false));
  ck_assert_int_eq(copies(&world), 1);
  ck_assert_int_eq(world.plan[2].event, PBT_RESTARTED);
}
END_TEST

START_TEST(a_lone_member_goes_on_alone) {
  struct world world = world_of(1);
  ck_ok(decide(&world, 2, false));
  ck_assert_int_eq(copies(&world), 0);
}
END_TEST

/* Over sizes, pairings and random failures: one donor a receiver, no chain, values legal.
 */
START_TEST(every_plan_is_a_function_without_chains) {
  struct pbt_rng rng = pbt_rng_open(4, 0, PBT_RNG_TEST, 0);
  for (int round = 0; round < 20000; round++) {
    int64_t n = 1 + pbt_rng_below(&rng, 20);
    struct world world = world_of(n);
    world.job.exploit.pairing = (enum pbt_pairing)pbt_rng_below(&rng, 3);
    world.job.exploit.fraction = 0.05 + 0.45 * pbt_rng_uniform(&rng);
    world.job.explore.kind = (enum pbt_explore_kind)pbt_rng_below(&rng, 3);
    world.job.explore.resample = 0.3;
    for (int64_t i = 0; i < n; i++) {
      bool dead = pbt_rng_below(&rng, 4) == 0;
      world.report[i].fitness = dead ? (double)NAN : (double)pbt_rng_below(&rng, 5);
    }
    ck_ok(decide(&world, round, false));
    for (int64_t i = 0; i < n; i++) {
      int32_t donor = world.plan[i].donor;
      ck_assert(donor == -1 || world.plan[donor].donor == donor);
      ck_assert(donor != -1 || !isfinite(world.report[i].fitness));
      for (int h = 0; h < 2; h++) {
        double value = world.plan[i].value[h];
        ck_assert(value >= world.job.search.hparam[h].low);
        ck_assert(value <= world.job.search.hparam[h].high);
      }
    }
  }
}
END_TEST

START_TEST(copying_weights_only_keeps_the_receivers_values) {
  struct world world = world_of(10);
  world.job.exploit.copy = PBT_COPY_WEIGHTS;
  world.job.explore.kind = PBT_EXPLORE_NONE;
  struct world before = world;
  ck_ok(decide(&world, 3, false));
  ck_assert_int_eq(copies(&world), 2);
  ck_assert_mem_eq(world.plan[0].value, before.plan[0].value,
                   sizeof before.plan[0].value);
}
END_TEST

PBT_TEST_MAIN("decide", a_quantile_is_neither_empty_nor_more_than_half,
              the_worst_fifth_copies_the_best_fifth_and_moves_inside_the_bounds,
              nobody_copies_during_burn_in_or_after_the_last_evaluation,
              every_diverged_member_is_rescued_and_none_gives,
              without_a_donor_the_diverged_start_afresh, random_search_never_copies,
              a_lone_member_goes_on_alone, every_plan_is_a_function_without_chains,
              copying_weights_only_keeps_the_receivers_values)
