/*
 * rival.h - a member scores another's weights beside its own.
 */
#ifndef PBT_PBT_RIVAL_H
#define PBT_PBT_RIVAL_H

#include "pbt/population.h"

/* Brings the travelling state of population->trial[i].rival of every local member i here;
 * nothing happens where nobody has a rival.  Collective over those who take part; a
 * failure is known to one rank only. */
pbt_status pbt_rivals_fetch(struct pbt_population *population);
void pbt_rivals_free(struct pbt_population *population); // Local

/* The job's metric of this member's own weights and of its rival's, on the samples that
 * its trial names; NaN: diverged.  `before` holds a whole state, for use in between; the
 * member's state is unchanged.  Local. */
pbt_status pbt_rival_score(struct pbt_population *population, struct pbt_member *member,
                           char *before, double *own, double *rival);

#endif
