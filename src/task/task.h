/*
 * task.h - everything that population based training needs to know about a workload.
 * Version 3.
 *
 * A task is one member's network, optimiser, data and random streams, or anything else
 * that trains, scores and has a state.  pbt/population.c drives it in this order and no
 * other:
 *
 *     open -> ( set_hparams -> train in slices -> evaluate -> [state rewritten] )*
 *          -> close
 *
 * Three promises keep the loop, the transfer and the checkpoint ignorant of networks:
 *
 *   1. A task never communicates.  It is given no communicator, so no call can deadlock.
 *   2. state() is complete.  Write the bytes of its image into a task of the same
 *      signature and training goes on; bit for bit, if the backend is deterministic.
 *   3. state() is frozen.  From open() to close() it lists the same tensors.
 *
 * Training and scoring come in two calls, `begin` and `end`, because members of one rank
 * may share a device that computes while the host goes on: the loop begins work on all of
 * them before it waits for any.  A task without such a device does its work in `begin`.
 * Between the two nothing else is asked of the task.
 *
 * A diverged model is no error: train_end() returns PBT_OK with a mean loss of NaN and
 * evaluate_end() stores NaN, which ranks below every number.  Any other status means that
 * this rank cannot go on.
 */
#ifndef PBT_TASK_TASK_H
#define PBT_TASK_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h" // struct pbt_place
#include "base/status.h"
#include "base/tensor.h" // struct pbt_state
#include "data/data.h"   // enum pbt_split
#include "job/job.h"     // struct pbt_job

enum { PBT_TASK_VERSION = 3 };

/* What open() is given.  Borrowed: all of it outlives the task. */
struct pbt_task_env {
  const struct pbt_job *job;
  const void *data;  // the block that data_load filled; NULL if the task has none
  uint32_t member;   // streams are keyed by (job->seed, member)
  int32_t node_rank; // of this rank among those of its node: which GPU it takes
};

struct pbt_train_report {
  int64_t n_steps;  // steps done
  int64_t n_sample; // samples seen
  double loss;      // mean over those samples; NaN if the model diverged
};

/* Samples begin .. begin + count - 1 of a split; count 0: from begin to its end, so that
 * {0} is the whole split. */
struct pbt_part {
  int64_t begin, count;
};

/* Over a range of samples; all NaN if the model diverged. */
struct pbt_scores {
  double loss, accuracy;    // means over the samples
  double macro_f1;          // mean of the classes' F1
  double balanced_accuracy; // mean of the classes' recalls
  double balanced_loss;     // mean of the classes' mean losses
  int64_t count;            // samples scored
};

/* The first member of every concrete task. */
struct pbt_task {
  const struct pbt_task_ops *ops;
};

struct pbt_task_ops {
  /* REQUIRED */
  const char *name; // [task] kind = "classify"

  /* On failure *task stays NULL and nothing leaks.  Weights are those of restart 0. */
  pbt_status (*open)(const struct pbt_task_env *env, struct pbt_task **task);
  void (*close)(struct pbt_task *task); // NULL is fine

  /* Fresh weights, moments and buffers, keyed by (seed, member, restart); the member's
   * own step count stays. */
  pbt_status (*restart)(struct pbt_task *task, uint64_t restart);

  /* value[i] belongs to job->search.hparam[i]; takes effect at the next train_begin(). */
  pbt_status (*set_hparams)(struct pbt_task *task, const double value[]);

  /* n_steps optimiser steps; a then b of them equal a + b. */
  pbt_status (*train_begin)(struct pbt_task *task, int64_t n_steps);
  pbt_status (*train_end)(struct pbt_task *task, struct pbt_train_report *report);

  /* Scores a part of a split; PBT_ERR_INTERNAL if it reaches beyond the split.  Leaves
   * the state's bytes unchanged. */
  pbt_status (*evaluate_begin)(struct pbt_task *task, enum pbt_split split,
                               struct pbt_part part);
  pbt_status (*evaluate_end)(struct pbt_task *task, struct pbt_scores *scores);

  /* Borrowed until close. */
  const struct pbt_state *(*state)(const struct pbt_task *task);
  /* Any range of the state's canonical image, to and from host memory. */
  pbt_status (*state_read)(struct pbt_task *task, size_t offset, size_t bytes, void *to);
  pbt_status (*state_write)(struct pbt_task *task, size_t offset, size_t bytes,
                            const void *from);
  /* The travelling head of from's state into to's, in whatever memory they lie: both were
   * opened by this process for the same job. */
  pbt_status (*state_copy)(struct pbt_task *to, struct pbt_task *from);

  /* OPTIONAL */
  /* The image itself where it lies in host memory, valid until close; NULL: only
   * state_read and state_write reach it. */
  void *(*state_map)(struct pbt_task *task);
  /* Where the image lies, whatever the memory, with no work on it pending: for an MPI
   * that reaches it.  NULL: nobody shall. */
  pbt_status (*state_address)(struct pbt_task *task, void **address);
  /* Shared data: bytes wanted and one filling of them, before any open.  NULL: none. */
  pbt_status (*data_probe)(const struct pbt_job *job, size_t *bytes);
  pbt_status (*data_load)(const struct pbt_job *job, void *data, size_t bytes);
  /* Samples in a split.  NULL: a split has no parts, and evaluate() heeds none. */
  int64_t (*split_size)(const struct pbt_task *task, enum pbt_split split);
  /* Optimiser steps in one pass over the training data.  NULL: the job cannot count in
   * epochs. */
  double (*epoch_steps)(const struct pbt_task *task);
  /* Steps that take well under half a second on a slow core: training is cut into slices
   * of so many, so that a stop is noticed.  From the job alone, never from a clock: where
   * slices end is part of the record.  NULL: 1. */
  int64_t (*slice_steps)(const struct pbt_task *task);
  /* "cpu avx512, 1 thread": must be equal on all ranks.  NULL: "". */
  const char *(*describe)(const struct pbt_task *task);
  /* Where this member computes, if on a device of its own; false: nowhere special.
   * NULL: likewise. */
  bool (*place)(const struct pbt_task *task, struct pbt_place *place);
  /* Host bytes that one open member will hold, without its data; and what a person wants
   * to see of the job beside its text (layers, parameters, paths), added to *about.
   * NULL: unknown. */
  pbt_status (*measure)(const struct pbt_job *job, size_t *bytes, struct pbt_text *about);
  /* TOML-free facts that make a saved model usable elsewhere (network, normalisation,
   * classes), as "key = value" lines in caller's memory.  NULL: none. */
  pbt_status (*model_facts)(const struct pbt_task *task, struct pbt_text *text);
};

/* Begun and ended. */
static inline pbt_status pbt_task_train(struct pbt_task *task, int64_t n_steps,
                                        struct pbt_train_report *report) {
  PBT_TRY(task->ops->train_begin(task, n_steps));
  return task->ops->train_end(task, report);
}

static inline pbt_status pbt_task_evaluate(struct pbt_task *task, enum pbt_split split,
                                           struct pbt_part part,
                                           struct pbt_scores *scores) {
  PBT_TRY(task->ops->evaluate_begin(task, split, part));
  return task->ops->evaluate_end(task, scores);
}

/* The table of a kind of task (task/task_list.c). */
const struct pbt_task_ops *pbt_task_find(enum pbt_task_kind kind);

#endif
