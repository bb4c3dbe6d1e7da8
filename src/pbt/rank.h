/*
 * rank.h - who is better: the one comparator of the program.  Pure.
 */
#ifndef PBT_PBT_RANK_H
#define PBT_PBT_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "job/job.h"    // enum pbt_sense
#include "pbt/method.h" // struct pbt_report

/* Is fitness a better than b?  NaN and infinities are worse than every number, equal to
 * each other. */
bool pbt_better(enum pbt_sense sense, double a, double b);

/* order[0 .. n-1]: members, best first.  Equal scores fall by a coin drawn from
 * (seed, member, PBT_RNG_RANK, generation), so that no member wins by its number.
 * Returns how many are finite. */
int64_t pbt_rank(const struct pbt_report report[], int64_t n, enum pbt_sense sense,
                 uint64_t seed, int64_t generation, int32_t order[]);

#endif
