/*
 * checkpoint.h - the whole population to a set of files and back.
 *
 * A set holds each member's state with its place in the running interval
 * (member-NNNNN.h5), what all ranks know alike (population.h5), the best model so far
 * (best.h5) and the effective job (job.toml).  A finished run's set also holds what all
 * knew at the last gather, before its decision (last-gather.h5), and members keep their
 * finished interval: with a larger budget the run decides that generation again, now with
 * an exchange, and so becomes the longer run that it would have been.  The member files
 * do not say which rank wrote them: any number of ranks goes on from a set, bit for bit.
 */
#ifndef PBT_PBT_CHECKPOINT_H
#define PBT_PBT_CHECKPOINT_H

#include "pbt/population.h"

enum {
  PBT_ALL_ROLES = PBT_ROLE_WEIGHT | PBT_ROLE_OPTIMIZER | PBT_ROLE_BUFFER | PBT_ROLE_LOCAL
};

enum pbt_save {
  PBT_SAVE_DUE,  // the run goes on: with checkpoint.async a thread writes
  PBT_SAVE_STOP, // it does not
  PBT_SAVE_END   // and nothing is left to train
};

/* Saves the state before generation population->generation (with what members have done
 * of it).  Settles the set before it.  Committed when it returns, unless a thread writes:
 * then what goes wrong shows when it is settled.  Collective, agrees. */
pbt_status pbt_checkpoint_save(struct pbt_population *population, enum pbt_save why);

/* Waits for the set under way, if there is one, and commits it; to be called before
 * anything that its manifest could miss (another best.h5).  Collective, agrees. */
pbt_status pbt_checkpoint_settle(struct pbt_population *population);

/* Forgets the set under way, without a manifest.  Local. */
void pbt_checkpoint_drop(struct pbt_population *population);

/* Prepares what rank 0 says if it is told to end; set 0: nothing is saved yet. */
void pbt_checkpoint_last_words(const struct pbt_population *population, int64_t set,
                               int64_t generation);

/* "member-00003.h5" */
void pbt_member_file_name(int64_t id, char name[PBT_SET_FILE_NAME]);

/* Puts the set's state into an opened population.  A set of another number of members is
 * refused unless `resize` is given: it is filled in (resize.h), and freed by the caller.
 * Collective, agrees. */
struct pbt_resize;
pbt_status pbt_checkpoint_restore(struct pbt_population *population,
                                  const struct pbt_manifest *manifest,
                                  struct pbt_resize *resize);

/* The manifest from rank 0 to all, in counted memory.  Collective, agrees. */
pbt_status pbt_manifest_share(struct pbt_comm *comm, pbt_status status,
                              struct pbt_manifest *manifest);

#endif
