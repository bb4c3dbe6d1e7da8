/*
 * method.h - what a way to exploit or to explore is.
 *
 * A method is a pure function of what every rank has alike: the gathered reports, its own
 * replicated memory, the job with its seed, and the generation.  Every rank runs it and
 * must get the same plan, bit for bit: randomness comes from pbt_rng_open(seed, member,
 * PBT_RNG_EXPLOIT or PBT_RNG_EXPLORE, generation), exp and log from base/detmath.
 *
 * A job has one exploit method, one guard and one explore method; decide.c runs them in
 * this order, with the rules that no method may break in between.  To add one: a file in
 * exploit/, guard/ or explore/ and a line in job/methods.h.
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
  int32_t asleep;     // retired: no score
  int64_t steps;      // optimiser steps of this member so far
  int64_t n_sample;   // samples trained on in this interval
  double fitness;     // the job's metric on the validation split; not finite: diverged
  double loss, accuracy, macro_f1, training_loss;
  uint64_t digest; // XXH3 of the travelling state
  uint64_t agreed; // digest of the last plan and of all replicated state
  double train_seconds, evaluate_seconds;
};

/* What one member does between the gather and the plan.  Either it tries other values
 * from its own state for a few steps, beside the values in force for as many; or it
 * scores another's weights beside its own.  Both are scored on the same samples. */
struct pbt_trial {
  bool tries;           // other values
  int32_t rival;        // whose weights it scores; -1: nobody's
  int64_t begin, count; // of the validation split, to score on; count 0: all of it
  double value[PBT_MAX_HPARAM]; // to try
  double parent, fitness; // scores with the values in force, with those tried; or of its
                          // own weights, of its rival's
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
  int64_t n_validation;            // samples of the validation split; 0: it has no parts
  const int64_t *asleep; // (n) not 0: retired, out of everything; NULL: nobody ever is
  const struct pbt_trial *trial; // (n) what was tried; NULL: nothing
};

static inline bool pbt_is_finite(const struct pbt_round *round, int64_t member) {
  double fitness = round->report[member].fitness;
  return fitness - fitness == 0.0;
}

/* One member's part of a plan. */
struct pbt_step_plan {
  int32_t donor;       // whose state it takes: itself to keep its own, -1 to start afresh
  int32_t values_of;   // exploit may set it: whose values it takes, -1: its donor's
  uint8_t quiet;       // exploit may set it: takes values without moving them
  uint8_t moves;       // guard may set it: moves its values although it does not copy;
                       // explore finds it set for all that are to move
  uint8_t takes_trial; // explore may set it: goes on with the state its trial ended with
  uint8_t sleeps;      // explore may set it: retires for good
  uint8_t event;       // enum pbt_event
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

  /* OPTIONAL: looks at every round before anything is decided, burn-in and the last one
   * included.  NULL: does not. */
  void (*observe)(const struct pbt_round *round, struct pbt_memory *memory,
                  const struct pbt_step_plan plan[]); // plan[i].value: in force until now

  /* OPTIONAL: what members shall try before the decision, from plan[i].value in force;
   * sets trial[i].tries and .value, or .rival, and the samples to score on.  Members that
   * diverged or sleep neither try nor score.  One method of a job has it at most; one
   * that tries values says so in pbt_trial_steps.  NULL: nothing is tried. */
  pbt_status (*propose)(const struct pbt_round *round, struct pbt_memory *memory,
                        const struct pbt_step_plan plan[], struct pbt_trial trial[]);

  /* REQUIRED.  Exploit: sets plan[i].donor of members that shall take another's state;
   * guard: takes back what it does not believe in; explore: moves plan[i].value where
   * plan[i].moves, or what the method itself chooses, and says how in plan[i].move. */
  pbt_status (*decide)(const struct pbt_round *round, struct pbt_memory *memory,
                       struct pbt_step_plan plan[]);

  /* OPTIONAL: the plan is final; members that copy take over what belongs to their
   * donor's weights.  NULL: nothing does. */
  void (*settle)(const struct pbt_round *round, struct pbt_memory *memory,
                 const struct pbt_step_plan plan[]);
};

const struct pbt_method *pbt_exploit_method(enum pbt_exploit_kind kind);
const struct pbt_method *pbt_guard_method(enum pbt_guard_kind kind);
const struct pbt_method *pbt_explore_method(enum pbt_explore_kind kind);

enum { PBT_METHODS = 3 };
/* The methods of a job, in the order in which they decide. */
void pbt_methods_of(const struct pbt_job *job,
                    const struct pbt_method *method[PBT_METHODS]);
/* Does one of them propose? */
bool pbt_has_trials(const struct pbt_job *job);
/* Their tensors, at most PBT_METHODS * PBT_METHOD_TENSORS; returns how many. */
int pbt_method_tensors(const struct pbt_job *job, struct pbt_tensor tensor[]);
/* One tensor of PBT_ROLE_LOCAL named `prefix`/`name`: (rows), or (rows, columns) where
 * columns > 0. */
struct pbt_tensor pbt_method_tensor(const char *prefix, const char *name,
                                    enum pbt_dtype dtype, int64_t rows, int64_t columns);
/* All methods with what they do and where they come from, as text for --list. */
void pbt_methods_describe(struct pbt_text *text);

/* Steps of each trial: the last ones of an interval; 0 where no values are tried. */
static inline int64_t pbt_trial_steps(const struct pbt_job *job) {
  bool tries = job->explore.kind == PBT_EXPLORE_DE ||
               job->explore.kind == PBT_EXPLORE_SHADE ||
               job->explore.kind == PBT_EXPLORE_LSHADE;
  return tries ? job->explore.trial_steps : 0;
}

static inline bool pbt_is_asleep(const struct pbt_round *round, int64_t member) {
  return round->asleep != NULL && round->asleep[member] != 0;
}

/* Does exploit copy weights (and what belongs to them) in this job? */
static inline bool pbt_copies_weights(const struct pbt_job *job) {
  return job->exploit.copy == PBT_COPY_BOTH || job->exploit.copy == PBT_COPY_WEIGHTS;
}

/* Members a quantile of `fraction` holds: ceil(fraction n), at least 1 if n > 1, at most
 * n / 2. */
int64_t pbt_quantile(double fraction, int64_t n);

#endif
