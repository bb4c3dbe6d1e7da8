/*
 * best.h - RUN/best.h5: the winner so far, as a model that can be used elsewhere.
 */
#ifndef PBT_PBT_BEST_H
#define PBT_PBT_BEST_H

#include "pbt/population.h"

/* If the last gather holds a better score than the run had, remembers it, and the
 * member's rank writes RUN/best.h5.  Local; a failure to write is the rank's trouble. */
pbt_status pbt_best_update(struct pbt_population *population);

/* Scores RUN/best.h5 once on the test split (rank 0) and shares the result in known.test.
 * Members' states are as before.  Collective, agrees. */
pbt_status pbt_best_score(struct pbt_population *population);

/* Weights and buffers of a model file into an open task.  PBT_ERR_DATA if it is of
 * another network.  Local. */
pbt_status pbt_model_load(const char *path, struct pbt_task *task);

/* pbt_mpi --evaluate MODEL: opens the model's own job (with `set` on top), scores it on
 * validation and test and prints both.  Local; needs no MPI. */
pbt_status pbt_model_evaluate(const char *path, const char *const set[], int n_set);

#endif
