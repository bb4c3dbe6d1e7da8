/*
 * hparam.h - hyperparameters: what one is, how it is drawn, how it stays in bounds.
 *
 * A member's hyperparameters are double value[n]; the index is the position in the job's
 * search space.  INT and CHOICE hold exact integers (a CHOICE holds the index of its
 * option).  Everything here is pure and uses base/detmath, so every rank computes the
 * same bits.
 */
#ifndef PBT_JOB_HPARAM_H
#define PBT_JOB_HPARAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h" // struct pbt_rng

enum pbt_kind { PBT_REAL, PBT_LOG, PBT_INT, PBT_CHOICE };

enum {
  PBT_MAX_HPARAM = 32,
  PBT_MAX_OPTION = 32,
  PBT_MAX_START = 64,
  PBT_MAX_SCHEDULE = 512,
  PBT_HPARAM_NAME = 32
};

struct pbt_hparam {
  char name[PBT_HPARAM_NAME];
  enum pbt_kind kind;
  double low, high;                  // inclusive; CHOICE: 0 and n_option - 1
  double start_low, start_high;      // where first values are drawn; within low..high
  int32_t n_option;                  // CHOICE only
  double option[PBT_MAX_OPTION];     // CHOICE: the numbers it stands for
  int32_t n_start;                   // first values given one by one; 0: drawn
  double start[PBT_MAX_START];       // of member 0, 1, ...; CHOICE: the option's number
  int32_t n_schedule;                // values of generation 0, 1, ... for replay; 0: none
  double schedule[PBT_MAX_SCHEDULE]; // as the job gives them; CHOICE: the option's number
  int32_t line, column;              // in the job file, for messages
};

enum pbt_bounce { PBT_CLIP, PBT_REFLECT };

/* The one function that keeps a value legal: rounds INT and CHOICE, then clips or
 * reflects into low..high.  A NaN becomes low. */
double pbt_hparam_bound(const struct pbt_hparam *hparam, double value,
                        enum pbt_bounce bounce);

/* Drawn from start_low..start_high: uniform, or uniform in the logarithm for LOG; every
 * integer or option equally likely. */
double pbt_hparam_draw(const struct pbt_hparam *hparam, struct pbt_rng *rng);

/* One move by a factor, design decision 9: LOG and REAL with low > 0: value x factor (LOG
 * in log space); REAL with low <= 0: value +- 0.2 (high - low), up for factor > 1; INT:
 * value x factor, rounded, at least +-1; CHOICE: the neighbour above or below.  Bounded.
 */
double pbt_hparam_perturb(const struct pbt_hparam *hparam, double value, double factor,
                          enum pbt_bounce bounce);

/* To [0, 1] and back in the kind's own space (log for LOG); from_unit is bounded. */
double pbt_hparam_to_unit(const struct pbt_hparam *hparam, double value);
double pbt_hparam_from_unit(const struct pbt_hparam *hparam, double unit);

/* What the task is to use: the option's number for CHOICE, the value itself otherwise. */
double pbt_hparam_effective(const struct pbt_hparam *hparam, double value);

const char *pbt_kind_name(enum pbt_kind kind); // "real", "log", "int", "choice"

#endif
