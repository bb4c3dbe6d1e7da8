/*
 * population.h - the population: its members on this rank, what all ranks know alike, and
 * the loop over generations.
 *
 * Open inside pbt/, opaque outside.  Local fields differ from rank to rank; `memory` and
 * everything derived from it is the same on all.
 */
#ifndef PBT_PBT_POPULATION_H
#define PBT_PBT_POPULATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"  // PBT_PATH_BYTES
#include "comm/comm.h"  // struct pbt_comm, node memory
#include "job/job.h"    // struct pbt_job
#include "pbt/method.h" // reports, plans, memory
#include "pbt/stop.h"   // enum pbt_stop
#include "record/checkpoint_set.h"
#include "record/lineage.h"
#include "record/run_folder.h" // struct pbt_progress
#include "task/task.h"         // struct pbt_task

/* What a member is at between two gathers (interval.c). */
enum pbt_work { PBT_RESTS, PBT_BEGINS, PBT_TRAINS, PBT_SCORES_ITSELF };

/* One member on this rank. */
struct pbt_member {
  int64_t id; // its number in the population
  struct pbt_task *task;
  enum pbt_work work;     // what its task has under way
  int64_t interval_steps; // done in the running interval
  double loss_sum;        // over the samples of the running interval, in slice order
  int64_t n_sample;
  uint64_t digest_after; // of the travelling state it goes on with
  double seconds[PBT_PHASES];
};

/* The replicated tensors of the population itself, pointing into memory.image. */
struct pbt_known {
  double *value;             // (n, search.n) in force
  int64_t *restarts;         // (n) fresh starts so far
  double *best;              // fitness, loss, accuracy, macro_f1 of the run's best
  int64_t *best_place;       // member, generation of it; -1: none yet
  int64_t *dead_generations; // running ones in which every member diverged
  uint64_t *agreed;          // digest of the last plan and of this image before it
  double *test;    // loss, accuracy, macro_f1, count of the winner; NaN: not yet
  int64_t *asleep; // (n) 1 + the generation after which it retired; 0: awake.  NULL where
                   // nobody ever retires
};
enum pbt_score_index { PBT_FITNESS, PBT_LOSS, PBT_ACCURACY, PBT_MACRO_F1, PBT_SCORES };

struct pbt_population {
  struct pbt_comm *comm;     // borrowed
  const struct pbt_job *job; // borrowed
  const char *job_text;      // borrowed: the effective job
  const char *command;       // borrowed: what goes on with the run
  char run[PBT_PATH_BYTES];  // run folder
  const struct pbt_task_ops *task_ops;
  struct pbt_node_memory data;

  int64_t n;                 // members of the population
  int64_t begin, end;        // this rank's block
  int64_t columns;           // of known.value: search.n, at least 1
  struct pbt_member *member; // (end - begin)
  char *staging;             // one travelling state, where tasks have no map; else NULL
  bool reaches_device;       // MPI takes states from where they lie, on a device
  int64_t interval;          // optimiser steps of one
  int64_t generations;       // budget

  int64_t generation; // the one being trained
  struct pbt_memory memory;
  struct pbt_known known;
  struct pbt_report *report;  // (n) of the last gather
  int32_t *order;             // (n)
  struct pbt_step_plan *plan; // (n)
  struct pbt_trial *trial;    // (n) of the last generation; NULL: the job tries nothing
  uint64_t *trial_digest;     // (n, 2) of states ended with the values in force, tried
  char *trial_image; // (end - begin) whole states, ended with the values in force
  char *rival_image; // (end - begin) travelling states of rivals, while they are scored

  struct pbt_lineage *lineage;   // rank 0
  struct pbt_progress *progress; // rank 0
  struct pbt_lineage_row *row;   // (n), rank 0
  int64_t next_set;
  struct pbt_saving *saving; // checkpoint.c: a set under way, or NULL
  char *gather_image;        // memory.image as it stood at the last gather of the run
  double checkpoint_seconds; // that this rank waited for checkpoints since the last line
  double write_seconds;      // what writing the last one took
  double record_seconds;     // spent on recording the last generation, this rank
  double generation_began;   // clock
  pbt_status trouble;        // of this rank alone: shared in the next gather or agreement
  bool shared;               // a failure that all ranks know: leave quietly; else die
  enum pbt_stop stop;        // this rank's own reason
};

/* Optimiser steps until the gather of the running generation: trials take the last. */
static inline int64_t pbt_steps_to_gather(const struct pbt_population *population) {
  bool last = population->generation + 1 == population->generations;
  return population->interval - (last ? 0 : pbt_trial_steps(population->job));
}

/* Samples that fitness is measured on; 0: the task has no parts to score. */
static inline int64_t pbt_validation_size(const struct pbt_population *population) {
  const struct pbt_task_ops *ops = population->task_ops;
  return ops->split_size == NULL
             ? 0
             : ops->split_size(population->member[0].task, PBT_SPLIT_VALIDATION);
}

static inline bool pbt_is_local(const struct pbt_population *population, int64_t member) {
  return member >= population->begin && member < population->end;
}

/* The worst status of all ranks; if it is a failure, population->shared says that all
 * know. Collective. */
pbt_status pbt_population_agree(struct pbt_population *population, pbt_status mine);

/* The replicated tensors that a job of this size has, zeroed.  Local; freed by close. */
pbt_status pbt_memory_open(const struct pbt_job *job, struct pbt_memory *memory);
void pbt_memory_close(struct pbt_memory *memory);

/* Allocates everything above and opens this rank's tasks with fresh members (values
 * seeded, weights of restart 0, or of the job's warm start).  Collective, agrees. */
pbt_status pbt_population_open(struct pbt_population *population, struct pbt_comm *comm,
                               const struct pbt_job *job, const char *job_text);
void pbt_population_close(struct pbt_population *population); // Local

/* Trains from population->generation to the budget.  PBT_OK: finished, winner scored on
 * the test split, last checkpoint written.  PBT_STOPPED: told to stop, or the population
 * died out; saved.  Anything else: population->shared says whether all ranks know.
 * Collective. */
pbt_status pbt_population_run(struct pbt_population *population);

#endif
