/*
 * method.h - what a way to exploit or to explore is.
 *
 * A method is a pure function of what every rank has alike: the gathered reports, its own
 * replicated memory, the job with its seed, and the generation.  Every rank runs it and
 * must get the same plan, bit for bit: randomness comes from pbt_rng_open(seed, member,
 * PBT_RNG_EXPLOIT or PBT_RNG_EXPLORE, generation), exp and log from base/detmath.
 *
 * decide.c runs one exploit method, then the rules that no method may break, then one
 * explore method.  To add one: a file in exploit/ or explore/, a line in method_list.c, a
 * word in job/keys.c.
 */
#ifndef PBT_PBT_METHOD_H
#define PBT_PBT_METHOD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/tensor.h"    // struct pbt_state
#include "job/job.h"        // struct pbt_job
#include "record/lineage.h" // enum pbt_event, enum pbt_move

/* What each member shows all others at a ready step: the one record of the allgather. */
struct pbt_report {
  int32_t
      status; // pbt_status of the member's rank: not PBT_OK ends the run, on all ranks
  int16_t incomplete; // stopped inside the interval: no score
  int16_t stop;       // enum pbt_stop: why its rank wants to stop
  int64_t steps;      // optimiser steps of this member so far
  int64_t n_sample;   // samples trained on in this interval
  double fitness;     // the job's metric on the validation split; not finite: diverged
  double loss, accuracy, macro_f1, training_loss;
  uint64_t digest; // XXH3 of the travelling state
  uint64_t agreed; // digest of the last plan and of all replicated state
  double train_seconds, evaluate_seconds;
};

/* What is known when a plan is made. */
struct pbt_round {
  const struct pbt_job *job;
  int64_t generation;              // the one just trained, from 0
  bool last;                       // nothing is trained after this one
  int64_t n;                       // members
  const struct pbt_report *report; // (n)
  const int32_t *order;            // (n) members, best first; the diverged last
  int64_t n_finite;                // so many of them have a finite fitness
};

/* One member's part of a plan. */
struct pbt_step_plan {
  int32_t donor; // whose state it takes: itself to keep its own, -1 to start afresh
  uint8_t event; // enum pbt_event
  uint8_t move[PBT_MAX_HPARAM]; // enum pbt_move
  double value[PBT_MAX_HPARAM]; // in: in force until now; out: from now on
};

/* Replicated memory of the population and its methods, as named tensors over one image.
 */
struct pbt_memory {
  struct pbt_state state;
  char *image;
};
/* The tensor's bytes; the name must exist. */
void *pbt_memory_at(const struct pbt_memory *memory, const char *name);

enum { PBT_METHOD_TENSORS = 8 };

struct pbt_method {
  const char *name;   // as in the job file
  const char *what;   // one line for a list
  const char *source; // the paper

  /* OPTIONAL: the tensors the method wants to remember (names begin with its own);
   * returns how many, at most PBT_METHOD_TENSORS.  They start as zeros.  NULL: none. */
  int (*tensors)(const struct pbt_job *job, struct pbt_tensor tensor[]);

  /* REQUIRED.  Exploit: sets plan[i].donor of members that shall take another's state;
   * explore: moves plan[i].value of members whose donor is another, or what the method
   * itself chooses, and says how in plan[i].move. */
  pbt_status (*decide)(const struct pbt_round *round, struct pbt_memory *memory,
                       struct pbt_step_plan plan[]);
};

const struct pbt_method *pbt_exploit_method(enum pbt_exploit_kind kind);
const struct pbt_method *pbt_explore_method(enum pbt_explore_kind kind);

/* Does exploit copy weights (and what belongs to them) in this job? */
static inline bool pbt_copies_weights(const struct pbt_job *job) {
  return job->exploit.copy == PBT_COPY_BOTH || job->exploit.copy == PBT_COPY_WEIGHTS;
}

/* Members a quantile of `fraction` holds: ceil(fraction n), at least 1 if n > 1, at most
 * n / 2. */
int64_t pbt_quantile(double fraction, int64_t n);

#endif
