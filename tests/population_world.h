/*
 * population_world.h - a whole population in one process, for tests: real tasks, the real
 * ranking and pbt_decide, and states that travel by memcpy.  What MPI adds is only who
 * computes what where.
 */
#ifndef PBT_TESTS_POPULATION_WORLD_H
#define PBT_TESTS_POPULATION_WORLD_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "pbt/decide.h"
#include "pbt/rank.h"
#include "task/task.h"
#include "tests/test.h"

enum { WORLD_MOST = 64 };

/* As ck_ok, but Check hears of it only if it fails: it writes every assertion to a pipe.
 */
#define world_ok(call)                                                                   \
  do {                                                                                   \
    if ((call) != PBT_OK) {                                                              \
      ck_abort_msg("%s: %s", #call, pbt_error());                                        \
    }                                                                                    \
  } while (0)

struct population_world {
  const struct pbt_job *job;
  int64_t n, generations;
  struct pbt_task *task[WORLD_MOST];
  struct pbt_report report[WORLD_MOST];
  int32_t order[WORLD_MOST];
  int64_t restarts[WORLD_MOST];
  struct pbt_step_plan plan[WORLD_MOST];
  struct pbt_trial trial[WORLD_MOST];
  int64_t asleep[WORLD_MOST];
  struct pbt_tensor tensor[PBT_METHODS * PBT_METHOD_TENSORS];
  struct pbt_memory memory;
};

/* A job of the source tree (or its text), with settings on top. */
static inline void world_job(const char *path, const char *const set[], int n_set,
                             struct pbt_job *job) {
  char *text = NULL;
  size_t bytes = 0;
  ck_ok(pbt_file_read(path, PBT_JOB_LIMIT, &text, &bytes));
  const struct pbt_job_source source = {
      .path = path, .text = text, .bytes = bytes, .set = set, .n_set = n_set, .ranks = 1};
  ck_ok(pbt_job_parse(&source, job));
  pbt_mem_free(text);
}

/* The methods' memory alone. */
static inline void world_memory(struct population_world *world) {
  int n = pbt_method_tensors(world->job, world->tensor);
  ck_ok(pbt_state_layout(world->tensor, (size_t)n, &world->memory.state));
  ck_ok(pbt_mem_alloc(world->memory.state.bytes + 1, (void **)&world->memory.image));
}

/* A world without tasks: the test writes the reports. */
static inline void world_reports_only(const struct pbt_job *job,
                                      struct population_world *world) {
  memset(world, 0, sizeof *world);
  world->job = job;
  world->n = job->population.size;
  world->generations = job->budget.generations;
  world_memory(world);
  for (int64_t i = 0; i < world->n; i++) {
    pbt_seed_hparams(job, (uint32_t)i, 0, world->plan[i].value);
  }
}

static inline void world_open(const struct pbt_job *job, struct population_world *world) {
  memset(world, 0, sizeof *world);
  world->job = job;
  world->n = job->population.size;
  world->generations = job->budget.generations > 0 ? job->budget.generations
                                                   : job->budget.steps / job->ready.steps;
  world_memory(world);
  for (int64_t i = 0; i < world->n; i++) {
    const struct pbt_task_env env = {.job = job, .member = (uint32_t)i};
    world_ok(pbt_task_find(job->task.kind)->open(&env, &world->task[i]));
    pbt_seed_hparams(job, (uint32_t)i, 0, world->plan[i].value);
  }
}

static inline void world_close(struct population_world *world) {
  for (int64_t i = 0; i < world->n; i++) {
    if (world->task[i] != NULL) {
      world->task[i]->ops->close(world->task[i]);
    }
  }
  pbt_mem_free(world->memory.image);
}

static inline void world_train(struct population_world *world) {
  for (int64_t i = 0; i < world->n; i++) {
    struct pbt_task *task = world->task[i];
    struct pbt_train_report trained;
    struct pbt_scores scores;
    world_ok(task->ops->set_hparams(task, world->plan[i].value));
    world_ok(pbt_task_train(task, world->job->ready.steps, &trained));
    world_ok(
        pbt_task_evaluate(task, PBT_SPLIT_VALIDATION, (struct pbt_part){0}, &scores));
    world->report[i].fitness = scores.accuracy;
  }
}

/* Ranks what stands in the reports. */
static inline struct pbt_round world_round(struct population_world *world,
                                           int64_t generation) {
  const struct pbt_job *job = world->job;
  int64_t n_finite = pbt_rank(world->report, world->n, job->task.sense, job->seed,
                              generation, world->order);
  return (struct pbt_round){.job = job,
                            .generation = generation,
                            .last = generation + 1 == world->generations,
                            .n = world->n,
                            .report = world->report,
                            .order = world->order,
                            .n_finite = n_finite,
                            .asleep = world->asleep};
}

static inline pbt_status world_propose(struct population_world *world,
                                       int64_t generation) {
  struct pbt_round round = world_round(world, generation);
  return pbt_propose(&round, &world->memory, world->plan, world->trial);
}

static inline pbt_status world_decide(struct population_world *world,
                                      int64_t generation) {
  struct pbt_round round = world_round(world, generation);
  round.trial = pbt_has_trials(world->job) ? world->trial : NULL;
  PBT_TRY(pbt_decide(&round, &world->memory, world->restarts, world->plan));
  for (int64_t i = 0; i < world->n; i++) {
    if (world->plan[i].sleeps) {
      world->asleep[i] = generation + 1;
      world->report[i].fitness = (double)NAN;
    }
  }
  return PBT_OK;
}

static inline void world_transfer(struct population_world *world) {
  for (int64_t i = 0; i < world->n; i++) {
    struct pbt_task *task = world->task[i];
    int32_t donor = world->plan[i].donor;
    if (donor == -1) {
      world_ok(task->ops->restart(task, (uint64_t)world->restarts[i]));
    } else if (donor != i && pbt_copies_weights(world->job)) {
      const char *bytes = world->task[donor]->ops->state_map(world->task[donor]);
      world_ok(
          task->ops->state_write(task, 0, task->ops->state(task)->travel_bytes, bytes));
    }
  }
}

/* The whole run; the best score of its last generation. */
static inline double world_run(const struct pbt_job *job) {
  struct population_world world;
  world_open(job, &world);
  for (int64_t g = 0; g < world.generations; g++) {
    world_train(&world);
    world_ok(world_decide(&world, g));
    world_transfer(&world);
  }
  double best = world.report[world.order[0]].fitness;
  world_close(&world);
  return best;
}

#endif
