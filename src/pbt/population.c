/*
 * One generation, top to bottom: every member trains its interval and is scored on the
 * validation split; one allgather shows everybody's report to all; every rank computes
 * the same plan; state travels from donors to receivers; rank 0 records; a checkpoint
 * when due.
 *
 * A failure while training or scoring does not leave the loop: it enters the gather in
 * the report, so all ranks learn of it and end together.  What a rank finds wrong at
 * other times (`trouble`) waits for the next gather too.  A stop is handled the same way:
 * a rank that is told to stop tells the others by a short message, all cut their training
 * at the next slice and meet in the gather, whose reports say whether the interval is
 * complete.
 */
#include "pbt/population.h"

#include "base/clock.h"            // phase times
#include "base/digest.h"           // agreement
#include "base/fault.h"            // transfer
#include "base/memory.h"           // the last gather
#include "pbt/best.h"              // the winner so far
#include "pbt/checkpoint.h"        // when due
#include "pbt/decide.h"            // the plan
#include "pbt/generation_record.h" // lineage
#include "pbt/interval.h"          // training and scores
#include "pbt/rank.h"              // order
#include "pbt/transfer.h"          // donors to receivers
#include "pbt/trial.h"             // values tried before the plan

#include <math.h>
#include <string.h>

/* ---- what the gather says ---- */

/* A failure of any member is everybody's; the lowest rank that has one keeps its message.
 */
static pbt_status shared_failure(struct pbt_population *population) {
  for (int64_t i = 0; i < population->n; i++) {
    if (population->report[i].status != PBT_OK) {
      population->shared = true;
      if (!pbt_is_local(population, i)) {
        pbt_error_clear();
      }
      return (pbt_status)population->report[i].status;
    }
  }
  for (int64_t i = 1; i < population->n; i++) {
    if (population->report[i].agreed != population->report[0].agreed) {
      population->shared = true;
      pbt_status status = pbt_fail(PBT_ERR_INTERNAL,
                                   "members 0 and %lld came to generation %lld with "
                                   "different plans; please report "
                                   "this",
                                   (long long)i, (long long)population->generation);
      if (pbt_comm_rank(population->comm) != 0) {
        pbt_error_clear();
      }
      return status;
    }
  }
  return PBT_OK;
}

static pbt_status gather(struct pbt_population *population) {
  double before = pbt_seconds();
  PBT_TRY(pbt_comm_allgather(population->comm, population->report + population->begin,
                             sizeof *population->report, population->n,
                             population->report));
  double waited = pbt_seconds() - before;
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    population->member[i].seconds[PBT_PHASE_IDLE] = waited;
  }
  return shared_failure(population);
}

static bool any_incomplete(const struct pbt_population *population) {
  for (int64_t i = 0; i < population->n; i++) {
    if (population->report[i].incomplete) {
      return true;
    }
  }
  return false;
}

static enum pbt_stop stop_asked(const struct pbt_population *population) {
  for (int64_t i = 0; i < population->n; i++) {
    if (population->report[i].stop != PBT_GO_ON) {
      return (enum pbt_stop)population->report[i].stop;
    }
  }
  return PBT_GO_ON;
}

/* ---- decide, move, remember ---- */

static pbt_status decide(struct pbt_population *population) {
  struct pbt_known *known = &population->known;
  const struct pbt_job *job = population->job;
  int64_t n_finite = pbt_rank(population->report, population->n, job->task.sense,
                              job->seed, population->generation, population->order);
  const struct pbt_round round = {.job = job,
                                  .generation = population->generation,
                                  .last = population->generation + 1 ==
                                          population->generations,
                                  .n = population->n,
                                  .report = population->report,
                                  .order = population->order,
                                  .n_finite = n_finite,
                                  .n_validation = pbt_validation_size(population),
                                  .asleep = known->asleep,
                                  .trial = population->trial};
  *known->dead_generations = n_finite > 0 ? 0 : *known->dead_generations + 1;
  size_t row = (size_t)job->search.n * sizeof *known->value;
  for (int64_t i = 0; i < population->n; i++) {
    memcpy(population->plan[i].value, known->value + i * population->columns, row);
  }
  PBT_TRY(pbt_trials_run(population, &round));
  PBT_TRY(pbt_decide(&round, &population->memory, known->restarts, population->plan));
  PBT_TRY(pbt_trials_settle(population));
  for (int64_t i = 0; i < population->n; i++) {
    memcpy(known->value + i * population->columns, population->plan[i].value, row);
    if (population->plan[i].sleeps) {
      known->asleep[i] = population->generation + 1;
    }
  }
  *known->agreed = pbt_digest_more(
      pbt_digest(population->memory.image, population->memory.state.bytes),
      population->plan, (size_t)population->n * sizeof *population->plan);
  return PBT_OK;
}

static void begin_interval(struct pbt_population *population) {
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    struct pbt_member *member = &population->member[i];
    member->interval_steps = 0;
    member->loss_sum = 0.0;
    member->n_sample = 0;
    memset(member->seconds, 0, sizeof member->seconds);
  }
}

static pbt_status exchange(struct pbt_population *population) {
  double before = pbt_seconds();
  PBT_TRY(pbt_fault("transfer", PBT_ERR_UNAVAILABLE));
  PBT_TRY(pbt_transfer(population));
  double seconds = pbt_seconds() - before;
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    population->member[i].seconds[PBT_PHASE_EXCHANGE] = seconds;
  }
  return PBT_OK;
}

/* ---- reasons not to go on ---- */

static pbt_status save_and_stop(struct pbt_population *population, enum pbt_stop stop) {
  PBT_TRY(pbt_comm_stop_settle(population->comm));
  PBT_TRY(pbt_checkpoint_save(population, PBT_SAVE_STOP));
  population->shared = true;
  pbt_status status =
      pbt_fail(PBT_STOPPED,
               "stopped by %s in generation %lld of %lld, saved in %s; the same "
               "command goes on",
               pbt_stop_name(stop), (long long)population->generation,
               (long long)population->generations, population->run);
  if (pbt_comm_rank(population->comm) != 0) {
    pbt_error_clear();
  }
  return status;
}

enum { DEAD_LIMIT = 3 }; // generations running in which every member diverged

static pbt_status save_and_give_up(struct pbt_population *population) {
  PBT_TRY(pbt_checkpoint_save(population, PBT_SAVE_STOP));
  population->shared = true;
  const struct pbt_job *job = population->job;
  pbt_status status = PBT_STOPPED;
  if (pbt_comm_rank(population->comm) != 0) {
    return status;
  }
  for (int32_t h = 0; h < job->search.n; h++) {
    if (strcmp(job->search.hparam[h].name, "lr") == 0) {
      return pbt_fail(
          status,
          "every member diverged in %d generations running: lower the bounds of "
          "lr, now %g to %g",
          DEAD_LIMIT, job->search.hparam[h].low, job->search.hparam[h].high);
    }
  }
  return pbt_fail(
      status,
      "every member diverged in %d generations running: lower optimizer.lr, now "
      "%g, or search it within bounds",
      DEAD_LIMIT, job->optimizer.lr);
}

/* ---- the loop ---- */

/* Where members try nothing after the gather, the end of a run is kept as it stood there:
 * a larger budget decides its last generation again. */
static pbt_status keep_gather(struct pbt_population *population) {
  size_t bytes = population->memory.state.bytes;
  PBT_TRY(pbt_mem_alloc(bytes, (void **)&population->gather_image));
  memcpy(population->gather_image, population->memory.image, bytes);
  return PBT_OK;
}

static pbt_status end_generation(struct pbt_population *population) {
  bool keep = population->generation + 1 == population->generations &&
              pbt_trial_steps(population->job) == 0;
  if (keep && population->trouble == PBT_OK) {
    population->trouble = keep_gather(population);
  }
  PBT_TRY(pbt_best_update(population));
  pbt_record_begin(population);
  PBT_TRY(decide(population));
  PBT_TRY(exchange(population));
  PBT_TRY(pbt_record_generation(population));
  population->generation++;
  if (!keep) {
    begin_interval(population);
  }
  return PBT_OK;
}

static pbt_status checkpoint_when_due(struct pbt_population *population) {
  double before = pbt_seconds();
  if (population->generation % population->job->checkpoint.every == 0 &&
      population->generation < population->generations) {
    PBT_TRY(pbt_checkpoint_save(population, PBT_SAVE_DUE));
  }
  population->record_seconds = pbt_seconds() - before;
  return PBT_OK;
}

static pbt_status one_generation(struct pbt_population *population) {
  pbt_interval_run(population);
  PBT_TRY(gather(population));
  enum pbt_stop stop = stop_asked(population);
  if (any_incomplete(population)) {
    return save_and_stop(population, stop);
  }
  PBT_TRY(pbt_checkpoint_settle(population));
  PBT_TRY(end_generation(population));
  if (stop != PBT_GO_ON && population->generation < population->generations) {
    return save_and_stop(population, stop);
  }
  if (*population->known.dead_generations >= DEAD_LIMIT &&
      population->generation < population->generations) {
    return save_and_give_up(population);
  }
  return checkpoint_when_due(population);
}

pbt_status pbt_population_run(struct pbt_population *population) {
  population->generation_began = pbt_seconds();
  while (population->generation < population->generations) {
    PBT_TRY(one_generation(population));
  }
  PBT_TRY(pbt_comm_stop_settle(population->comm));
  PBT_TRY(pbt_best_score(population));
  return pbt_checkpoint_save(population, PBT_SAVE_END);
}
