/*
 * Members take turns.  In its turn a member hands over what its task has under way and
 * begins its next piece: a slice of training or, at the end, its scoring.  So where
 * members share a device all of them have work there, and the device need not wait while
 * the host looks after one of them.  Where a task computes on the host a piece is done
 * when it is begun; the order in which members take turns is then the only difference,
 * and they know nothing of each other.
 *
 * Whether to stop is asked before every slice.  What is under way then is awaited, one
 * slice a member, and nothing more is begun.
 */
#include "pbt/interval.h"

#include "base/clock.h"   // phase times
#include "base/fault.h"   // train, evaluate, disagree
#include "pbt/display.h"  // the bar
#include "pbt/transfer.h" // pbt_member_digest

#include <math.h>

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

/* ---- one piece of work ---- */

/* Slices end at fixed places of the interval, so that the sum of losses has one order. */
static pbt_status begin_slice(struct pbt_member *member, int64_t left) {
  const struct pbt_task_ops *ops = member->task->ops;
  int64_t slice = ops->slice_steps == NULL ? 1 : ops->slice_steps(member->task);
  PBT_TRY(pbt_fault("train", PBT_ERR_INTERNAL));
  member->work = PBT_TRAINS;
  return ops->train_begin(member->task, left < slice ? left : slice);
}

static pbt_status end_slice(struct pbt_population *population,
                            struct pbt_member *member) {
  struct pbt_train_report report = {0};
  PBT_TRY(member->task->ops->train_end(member->task, &report));
  member->interval_steps += report.n_steps;
  member->n_sample += report.n_sample;
  member->loss_sum += report.loss * (double)report.n_sample;
  pbt_display_bar(population, done_part(population));
  return PBT_OK;
}

static pbt_status begin_scoring(struct pbt_member *member) {
  PBT_TRY(pbt_fault("evaluate", PBT_ERR_INTERNAL));
  member->work = PBT_SCORES_ITSELF;
  return member->task->ops->evaluate_begin(member->task, PBT_SPLIT_VALIDATION,
                                           (struct pbt_part){0});
}

static pbt_status end_scoring(struct pbt_population *population,
                              struct pbt_member *member) {
  struct pbt_report *report = &population->report[member->id];
  struct pbt_scores scores = {0};
  PBT_TRY(member->task->ops->evaluate_end(member->task, &scores));
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

/* ---- turns ---- */

/* `cut`: a member of this rank did not come to its end; then no score is of use. */
static pbt_status begin_next(struct pbt_population *population, struct pbt_member *member,
                             bool *cut) {
  int64_t left = pbt_steps_to_gather(population) - member->interval_steps;
  member->work = PBT_RESTS;
  if (left > 0) {
    bool stop = false;
    PBT_TRY(must_stop(population, &stop));
    *cut = *cut || stop;
    return stop ? PBT_OK : begin_slice(member, left);
  }
  return *cut ? PBT_OK : begin_scoring(member);
}

static pbt_status take_turn(struct pbt_population *population, struct pbt_member *member,
                            bool *cut) {
  double begun = pbt_seconds();
  if (member->work == PBT_SCORES_ITSELF) {
    PBT_TRY(end_scoring(population, member));
    member->work = PBT_RESTS;
    member->seconds[PBT_PHASE_EVALUATE] += pbt_seconds() - begun;
    return PBT_OK;
  }
  if (member->work == PBT_TRAINS) {
    PBT_TRY(end_slice(population, member));
    double ended = pbt_seconds();
    member->seconds[PBT_PHASE_TRAIN] += ended - begun;
    begun = ended;
  }
  PBT_TRY(begin_next(population, member, cut));
  bool scores = member->work == PBT_SCORES_ITSELF;
  member->seconds[scores ? PBT_PHASE_EVALUATE : PBT_PHASE_TRAIN] += pbt_seconds() - begun;
  return PBT_OK;
}

/* Out of everything: it shows its state as it was when it retired. */
static pbt_status sleep_on(struct pbt_population *population, struct pbt_member *member) {
  struct pbt_report *report = &population->report[member->id];
  member->work = PBT_RESTS;
  report->asleep = 1;
  report->steps = population->known.asleep[member->id] * population->interval;
  report->fitness = report->loss = report->accuracy = (double)NAN;
  report->macro_f1 = report->training_loss = (double)NAN;
  return pbt_member_digest(population, member, &report->digest);
}

static pbt_status first_turn(struct pbt_population *population, struct pbt_member *member,
                             bool *cut) {
  struct pbt_report *report = &population->report[member->id];
  *report = (struct pbt_report){.agreed = *population->known.agreed};
  if (population->known.asleep != NULL && population->known.asleep[member->id] != 0) {
    return sleep_on(population, member);
  }
  const double *value = population->known.value + member->id * population->columns;
  PBT_TRY(member->task->ops->set_hparams(member->task, value));
  member->work = PBT_BEGINS;
  return take_turn(population, member, cut);
}

/* One turn for each member that has something to do; *busy: there will be more. */
static pbt_status go_round(struct pbt_population *population, bool first, bool *cut,
                           bool *busy) {
  *busy = false;
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    struct pbt_member *member = &population->member[i];
    pbt_status status = PBT_OK;
    if (first) {
      status = first_turn(population, member, cut);
    } else if (member->work != PBT_RESTS) {
      status = take_turn(population, member, cut);
    }
    if (status != PBT_OK) {
      return pbt_context(status, "member %lld, generation %lld", (long long)member->id,
                         (long long)population->generation);
    }
    *busy = *busy || member->work != PBT_RESTS;
  }
  return PBT_OK;
}

void pbt_interval_run(struct pbt_population *population) {
  pbt_status status = population->trouble;
  bool cut = false, busy = true;
  for (bool first = true; busy && status == PBT_OK; first = false) {
    status = go_round(population, first, &cut, &busy);
  }
  for (int64_t i = population->begin; i < population->end; i++) {
    const struct pbt_member *member = &population->member[i - population->begin];
    struct pbt_report *report = &population->report[i];
    if (!report->asleep) {
      report->incomplete = member->interval_steps < pbt_steps_to_gather(population);
      report->n_sample = member->n_sample;
      report->steps =
          population->generation * population->interval + member->interval_steps;
    }
    report->status = (int32_t)status;
    report->stop = (int16_t)population->stop;
    report->train_seconds = member->seconds[PBT_PHASE_TRAIN];
    report->evaluate_seconds = member->seconds[PBT_PHASE_EVALUATE];
    report->agreed = *population->known.agreed;
    if (pbt_fault("disagree", PBT_ERR_INTERNAL) != PBT_OK) {
      pbt_error_clear();
      report->agreed ^= 1;
    }
  }
}
