/*
 * seeding.h - the hyperparameters that members start with.  Pure.
 */
#ifndef PBT_PBT_SEEDING_H
#define PBT_PBT_SEEDING_H

#include <stdint.h>

#include "job/job.h"

/* A place in [0, 1) for each of n hyperparameters: point `index` of Sobol's sequence
 * (direction numbers of Joe and Kuo 2008, up to PBT_MAX_HPARAM dimensions), before any
 * shift. */
void pbt_sobol_point(uint32_t index, int32_t n, uint32_t point[]);

/* The value at share u of the start range, 0 <= u < 1, in the kind's own space; every
 * integer or option has an equal share. */
double pbt_hparam_at_share(const struct pbt_hparam *hparam, double u);

/* What a number of `start` or `schedule` is as a value: of a choice the option's index.
 */
double pbt_hparam_listed(const struct pbt_hparam *hparam, double number);
/* The schedule's value in a generation; n_schedule > 0. */
double pbt_hparam_scheduled(const struct pbt_hparam *hparam, int64_t generation);

#endif
