/*
 * trial.h - what members try before the plan is made.
 *
 * Values: the last steps of an interval are done twice, once with the values in force and
 * once with those that the explore method proposes, both from the same state and on the
 * same samples.  Both ends are scored, a second gather shows the scores to all, and the
 * plan says which end each member goes on with.
 *
 * Weights: a member scores its rival's beside its own (rival.h), and the second gather
 * shows both scores.
 */
#ifndef PBT_PBT_TRIAL_H
#define PBT_PBT_TRIAL_H

#include "pbt/population.h"

/* Fills population->trial.  Does nothing where the job's method tries nothing.
 * Collective: a failure is every rank's (population->shared). */
pbt_status pbt_trials_run(struct pbt_population *population,
                          const struct pbt_round *round);
/* Members that the plan does not let take their trial get back the state they had without
 * it; population->report[i].digest is then of the state that each goes on from.  Local.
 */
pbt_status pbt_trials_settle(struct pbt_population *population);

#endif
