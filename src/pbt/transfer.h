/*
 * transfer.h - donors' state to the members that take it.
 */
#ifndef PBT_PBT_TRANSFER_H
#define PBT_PBT_TRANSFER_H

#include "pbt/population.h"

/* XXH3 of a member's travelling state (weights, optimiser, buffers).  Local. */
pbt_status pbt_member_digest(struct pbt_population *population, struct pbt_member *member,
                             uint64_t *digest);

/* Carries out population->plan: receivers get their donor's travelling state, fresh
 * starts fresh weights; digest_after of every local member is set, and checked against
 * the donor's at the gather.  Donors send from their state as it stands: no donor
 * receives.  Collective over those who take part; a failure is known to one rank only. */
pbt_status pbt_transfer(struct pbt_population *population);

#endif
