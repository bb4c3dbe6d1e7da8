/*
 * resize.h - another size of the population, on resume and because somebody said so.
 *
 * Fewer: the best by their last fitness stay.  Who has a number below the new size keeps
 * it; the others move, in order, into the places of those that go.  More: the new members
 * are clones of the best, in order, and their values are moved as after a copy.  All of
 * it follows from the checkpoint, the lineage and the seed: the same on any number of
 * ranks. In the lineage it is written into the last recorded generation, as what happened
 * to each place at its end.
 */
#ifndef PBT_PBT_RESIZE_H
#define PBT_PBT_RESIZE_H

#include "pbt/population.h"

struct pbt_resize {
  int64_t before, after;       // members
  int64_t columns;             // of the lineage from now on
  int32_t *source;             // (after) whose state each goes on with
  struct pbt_lineage_row *row; // (columns) rank 0: the last generation as it now reads
};

/* Who goes on with whose state; `before` members took part in the set.  Ranks by the
 * fitness of generation `generations` - 1, which RUN/lineage.h5 holds.  PBT_ERR_DATA
 * where there is none, or the job's method cannot have another size.  Collective, agrees.
 */
pbt_status pbt_resize_open(struct pbt_population *population, int64_t before,
                           int64_t generations, struct pbt_resize *resize);
void pbt_resize_close(struct pbt_resize *resize); // a zeroed one is fine

/* What all ranks know, from a set's image of the old size: rows of members follow their
 * source, the rest stays, and a method whose memory has another shape now begins anew. */
void pbt_resize_memory(struct pbt_population *population, const struct pbt_resize *resize,
                       const struct pbt_memory *old);

/* Moves the values of clones, and notes it all in resize->row.  Pure but for them. */
pbt_status pbt_resize_explore(struct pbt_population *population,
                              struct pbt_resize *resize, int64_t generations);

#endif
