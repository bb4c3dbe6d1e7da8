/*
 * differential.h - what the methods of differential evolution share.  Everything happens
 * on the unit range of each hyperparameter (of the logarithm for log; a whole number or
 * an option is rounded when it is taken).  Pure.
 */
#ifndef PBT_PBT_EXPLORE_DIFFERENTIAL_H
#define PBT_PBT_EXPLORE_DIFFERENTIAL_H

#include "base/rng.h"
#include "pbt/method.h"

/* unit[] of one member's values and back. */
void pbt_to_units(const struct pbt_job *job, const double value[], double unit[]);
void pbt_from_units(const struct pbt_job *job, const double unit[], double value[]);

/* Members that are not retired, in the order of their numbers; returns how many. */
int64_t pbt_awake(const struct pbt_round *round, int32_t member[]);

/* Binomial crossover: trial[j] = mutant[j] with probability cr and for one j, drawn; else
 * the parent's. */
void pbt_cross(struct pbt_rng *rng, int32_t n, double cr, const double parent[],
               const double mutant[], double trial[]);

/* The samples that member i's trial is scored on: explore.trial_batches of them in a row,
 * from a place that is drawn; all where that is 0 or too many. */
void pbt_draw_part(const struct pbt_round *round, int64_t i, struct pbt_trial *trial);
/* Member i's trial with the scores to judge it by.  Where only a part was scored they are
 * (1 - w) of the score on the whole split, taken before the trial, and w of the one on
 * the part, where w is the part's share of the split: the RFA of Angeland 2020,
 * algorithm 13. */
struct pbt_trial pbt_judged(const struct pbt_round *round, int64_t i);

/* Takes the trial for member i: values, moves, state. */
void pbt_take_trial(const struct pbt_round *round, int64_t i, struct pbt_step_plan *plan);

#endif
