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
#include "base/fault.h"            // train, evaluate, disagree
#include "base/memory.h"           // the last gather
#include "pbt/best.h"              // the winner so far
#include "pbt/checkpoint.h"        // when due
#include "pbt/decide.h"            // the plan
#include "pbt/display.h"           // the bar
#include "pbt/generation_record.h" // lineage
#include "pbt/rank.h"              // order
#include "pbt/transfer.h"          // donors to receivers
#include "pbt/trial.h"             // values tried before the plan

#include <math.h>
#include <string.h>

/* ---- train and score ---- */

static pbt_status must_stop(struct pbt_population *population, bool *stop) {
  if (population->stop == PBT_GO_ON) {
    population->stop = pbt_stop_reason();
    if (population->stop != PBT_GO_ON) {
      PBT_TRY(pbt_comm_stop_ask(population->comm));
    }
  }
  *stop = population->stop != PBT_GO_ON;
  return *stop ? PBT_OK : pbt_comm_stop_asked(population->comm, stop);
}

/* The share of this rank's work in the generation that is done. */
static double done_part(const struct pbt_population *population) {
  int64_t done = 0, n = population->end - population->begin;
  for (int64_t i = 0; i < n; i++) {
    done += population->member[i].interval_steps;
  }
  return (double)done / (double)(n * pbt_steps_to_gather(population));
}

/* Slices end at fixed places of the interval, so that the sum of losses has one order. */
static pbt_status train_member(struct pbt_population *population,
                               struct pbt_member *member, bool *stop) {
  const struct pbt_task_ops *ops = member->task->ops;
  int64_t slice = ops->slice_steps == NULL ? 1 : ops->slice_steps(member->task);
  const double *value = population->known.value + member->id * population->columns;
  PBT_TRY(ops->set_hparams(member->task, value));
  int64_t steps = pbt_steps_to_gather(population);
  while (member->interval_steps < steps) {
    PBT_TRY(must_stop(population, stop));
    if (*stop) {
      break;
    }
    int64_t left = steps - member->interval_steps;
    struct pbt_train_report report = {0};
    PBT_TRY(pbt_fault("train", PBT_ERR_INTERNAL));
    PBT_TRY(ops->train(member->task, left < slice ? left : slice, &report));
    member->interval_steps += report.n_steps;
    member->n_sample += report.n_sample;
    member->loss_sum += report.loss * (double)report.n_sample;
    pbt_display_bar(population, done_part(population));
  }
  return PBT_OK;
}

double pbt_score_of(const struct pbt_scores *scores, enum pbt_metric metric) {
  switch (metric) {
  case PBT_METRIC_LOSS:
    return scores->loss;
  case PBT_METRIC_MACRO_F1:
    return scores->macro_f1;
  case PBT_METRIC_BALANCED_ACCURACY:
    return scores->balanced_accuracy;
  case PBT_METRIC_BALANCED_LOSS:
    return scores->balanced_loss;
  case PBT_METRIC_ACCURACY:
    break;
  }
  return scores->accuracy;
}

static pbt_status score_member(struct pbt_population *population,
                               struct pbt_member *member, struct pbt_report *report) {
  struct pbt_scores scores = {0};
  PBT_TRY(pbt_fault("evaluate", PBT_ERR_INTERNAL));
  PBT_TRY(member->task->ops->evaluate(member->task, PBT_SPLIT_VALIDATION,
                                      (struct pbt_part){0}, &scores));
  PBT_TRY(pbt_member_digest(population, member, &report->digest));
  report->loss = scores.loss;
  report->accuracy = scores.accuracy;
  report->macro_f1 = scores.macro_f1;
  report->fitness = pbt_score_of(&scores, population->job->task.metric);
  report->training_loss = member->loss_sum / (double)member->n_sample;
  if (!isfinite(scores.loss) || !isfinite(report->training_loss)) {
    report->fitness =
        (double)NAN; // one rule for every metric: a broken loss is divergence
  }
  return PBT_OK;
}

/* Out of everything: it shows its state as it was when it retired. */
static pbt_status sleep_on(struct pbt_population *population, struct pbt_member *member,
                           struct pbt_report *report) {
  report->asleep = 1;
  report->steps = population->known.asleep[member->id] * population->interval;
  report->fitness = report->loss = report->accuracy = (double)NAN;
  report->macro_f1 = report->training_loss = (double)NAN;
  return pbt_member_digest(population, member, &report->digest);
}

static pbt_status work_on(struct pbt_population *population, struct pbt_member *member,
                          struct pbt_report *report) {
  if (population->known.asleep != NULL && population->known.asleep[member->id] != 0) {
    return sleep_on(population, member, report);
  }
  double before = pbt_seconds();
  bool stop = false;
  PBT_TRY(train_member(population, member, &stop));
  double trained = pbt_seconds();
  member->seconds[PBT_PHASE_TRAIN] += trained - before;
  report->incomplete = member->interval_steps < pbt_steps_to_gather(population);
  report->n_sample = member->n_sample;
  report->steps = population->generation * population->interval + member->interval_steps;
  if (!report->incomplete) {
    PBT_TRY(score_member(population, member, report));
  }
  member->seconds[PBT_PHASE_EVALUATE] += pbt_seconds() - trained;
  return PBT_OK;
}

/* This rank's members, one after the other; what goes wrong goes into their reports. */
static void train_block(struct pbt_population *population) {
  pbt_status status = population->trouble;
  for (int64_t i = population->begin; i < population->end; i++) {
    struct pbt_member *member = &population->member[i - population->begin];
    struct pbt_report *report = &population->report[i];
    *report = (struct pbt_report){.agreed = *population->known.agreed};
    if (status == PBT_OK) {
      status = work_on(population, member, report);
      if (status != PBT_OK) {
        pbt_context(status, "member %lld, generation %lld", (long long)i,
                    (long long)population->generation);
      }
    }
    report->status = status;
    report->stop = (int16_t)population->stop;
    report->train_seconds = member->seconds[PBT_PHASE_TRAIN];
    report->evaluate_seconds = member->seconds[PBT_PHASE_EVALUATE];
    if (pbt_fault("disagree", PBT_ERR_INTERNAL) != PBT_OK) {
      pbt_error_clear();
      report->agreed ^= 1;
    }
  }
}

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
  train_block(population);
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
