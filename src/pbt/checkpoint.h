/*
 * checkpoint.h - the whole population to a set of files and back.
 *
 * A set holds each member's state with its place in the running interval
 * (member-NNNNN.h5), what all ranks know alike (population.h5), the best model so far
 * (best.h5) and the effective job (job.toml).  The member files do not say which rank
 * wrote them: any number of ranks goes on from a set, bit for bit.
 */
#ifndef PBT_PBT_CHECKPOINT_H
#define PBT_PBT_CHECKPOINT_H

#include "pbt/population.h"

/* Saves the state before generation population->generation (with what members have done
 * of it) and commits it.  Collective, agrees: the status is every rank's. */
pbt_status pbt_checkpoint_save(struct pbt_population *population, bool finished);

/* Puts the set's state into an opened population.  Collective, agrees. */
pbt_status pbt_checkpoint_restore(struct pbt_population *population,
                                  const struct pbt_manifest *manifest);

/* The manifest from rank 0 to all, in counted memory.  Collective, agrees. */
pbt_status pbt_manifest_share(struct pbt_comm *comm, pbt_status status,
                              struct pbt_manifest *manifest);

#endif
