/*
 * A member that tries holds three states in turn: where the interval's training ended,
 * that plus the trial's steps with the values in force (kept in trial_image), and that
 * plus as many steps with the values tried (left in the task).  A state is complete, its
 * position among the samples included, so both runs see the same batches.
 *
 * Every member that is awake does the steps, also those that try nothing, so that all
 * stand at the same step at the next gather.
 */
#include "pbt/trial.h"

#include "base/clock.h"   // seconds
#include "base/memory.h"  // the state in between
#include "pbt/decide.h"   // pbt_propose
#include "pbt/interval.h" // pbt_score_of
#include "pbt/rival.h"    // weights of others
#include "pbt/transfer.h" // pbt_member_digest

#include <math.h>
#include <string.h>

/* What the second gather carries. */
struct outcome {
  int64_t status;
  double parent, fitness;
  uint64_t parent_digest, digest; // of the travelling states
};

static char *image_of(const struct pbt_population *population,
                      const struct pbt_member *member) {
  size_t bytes = member->task->ops->state(member->task)->bytes;
  return population->trial_image + (size_t)(member->id - population->begin) * bytes;
}

/* The trial's steps with these values, and what they lead to. */
static pbt_status run_with(struct pbt_population *population, struct pbt_member *member,
                           const double value[], double *fitness, uint64_t *digest) {
  const struct pbt_task_ops *ops = member->task->ops;
  const struct pbt_job *job = population->job;
  struct pbt_train_report trained = {0};
  struct pbt_scores scores = {0};
  PBT_TRY(ops->set_hparams(member->task, value));
  PBT_TRY(pbt_task_train(member->task, pbt_trial_steps(job), &trained));
  const struct pbt_trial *trial = &population->trial[member->id];
  const struct pbt_part part = {.begin = trial->begin, .count = trial->count};
  PBT_TRY(pbt_task_evaluate(member->task, PBT_SPLIT_VALIDATION, part, &scores));
  *fitness = isfinite(scores.loss) && isfinite(trained.loss)
                 ? pbt_score_of(&scores, job->task.metric)
                 : (double)NAN;
  return pbt_member_digest(population, member, digest);
}

static pbt_status try_one(struct pbt_population *population, struct pbt_member *member,
                          char *before, struct outcome *outcome) {
  const struct pbt_task_ops *ops = member->task->ops;
  const struct pbt_trial *trial = &population->trial[member->id];
  const double *value = population->known.value + member->id * population->columns;
  size_t bytes = ops->state(member->task)->bytes;
  double began = pbt_seconds();
  PBT_TRY(ops->state_read(member->task, 0, bytes, before));
  PBT_TRY(run_with(population, member, value, &outcome->parent, &outcome->parent_digest));
  PBT_TRY(ops->state_read(member->task, 0, bytes, image_of(population, member)));
  if (trial->tries) {
    PBT_TRY(ops->state_write(member->task, 0, bytes, before));
    PBT_TRY(
        run_with(population, member, trial->value, &outcome->fitness, &outcome->digest));
  }
  member->interval_steps += pbt_trial_steps(population->job);
  member->seconds[PBT_PHASE_TRAIN] += pbt_seconds() - began;
  return PBT_OK;
}

static pbt_status try_block(struct pbt_population *population,
                            const struct pbt_round *round, struct outcome mine[]) {
  const struct pbt_task *task = population->member[0].task;
  char *before = NULL;
  PBT_TRY(pbt_mem_alloc(task->ops->state(task)->bytes, (void **)&before));
  pbt_status status = PBT_OK;
  for (int64_t i = population->begin; i < population->end && status == PBT_OK; i++) {
    struct pbt_member *member = &population->member[i - population->begin];
    struct outcome *outcome = &mine[i - population->begin];
    if (pbt_is_asleep(round, i)) {
      continue;
    }
    if (pbt_trial_steps(population->job) > 0) {
      status = try_one(population, member, before, outcome);
    } else if (population->trial[i].rival >= 0) {
      status = pbt_rival_score(population, member, before, &outcome->parent,
                               &outcome->fitness);
    }
  }
  pbt_mem_free(before);
  return status;
}

/* Nothing tried: the state it has. */
static void begin_outcomes(const struct pbt_population *population,
                           struct outcome mine[]) {
  for (int64_t i = population->begin; i < population->end; i++) {
    mine[i - population->begin] =
        (struct outcome){.parent = (double)NAN,
                         .fitness = (double)NAN,
                         .parent_digest = population->report[i].digest,
                         .digest = population->report[i].digest};
  }
}

/* The lowest member that failed speaks for all. */
static pbt_status take(struct pbt_population *population, const struct outcome all[]) {
  for (int64_t i = 0; i < population->n; i++) {
    if (all[i].status != PBT_OK) {
      population->shared = true;
      if (!pbt_is_local(population, i)) {
        pbt_error_clear();
      }
      return (pbt_status)all[i].status;
    }
  }
  for (int64_t i = 0; i < population->n; i++) {
    population->trial[i].parent = all[i].parent;
    population->trial[i].fitness = all[i].fitness;
  }
  return PBT_OK;
}

pbt_status pbt_trials_run(struct pbt_population *population,
                          const struct pbt_round *round) {
  if (population->trial == NULL || round->last) {
    return PBT_OK;
  }
  PBT_TRY(pbt_propose(round, &population->memory, population->plan, population->trial));
  struct outcome *mine = NULL, *all = NULL;
  int64_t n = population->end - population->begin;
  pbt_status status = PBT_NEW(n, &mine);
  if (status == PBT_OK) {
    status = PBT_NEW(population->n, &all);
  }
  if (status == PBT_OK) {
    status = pbt_rivals_fetch(population);
  }
  if (status == PBT_OK) {
    begin_outcomes(population, mine);
    pbt_status mine_status = try_block(population, round, mine);
    for (int64_t i = 0; i < n; i++) {
      mine[i].status = mine_status;
    }
    status = pbt_comm_allgather(population->comm, mine, sizeof *mine, population->n, all);
  }
  if (status == PBT_OK) {
    status = take(population, all);
  }
  for (int64_t i = 0; i < population->n && status == PBT_OK; i++) {
    population->trial_digest[2 * i] = all[i].parent_digest;
    population->trial_digest[2 * i + 1] = all[i].digest;
  }
  pbt_rivals_free(population);
  pbt_mem_free(all);
  pbt_mem_free(mine);
  return status;
}

pbt_status pbt_trials_settle(struct pbt_population *population) {
  bool last = population->generation + 1 == population->generations;
  if (population->trial == NULL || last) {
    return PBT_OK;
  }
  for (int64_t i = 0; i < population->n; i++) {
    bool takes = population->plan[i].takes_trial;
    population->report[i].digest = population->trial_digest[2 * i + (takes ? 1 : 0)];
    if (takes || !population->trial[i].tries || !pbt_is_local(population, i)) {
      continue;
    }
    struct pbt_member *member = &population->member[i - population->begin];
    const struct pbt_task_ops *ops = member->task->ops;
    PBT_TRY(ops->state_write(member->task, 0, ops->state(member->task)->bytes,
                             image_of(population, member)));
  }
  return PBT_OK;
}
