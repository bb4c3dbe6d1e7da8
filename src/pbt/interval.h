/*
 * interval.h - this rank's members train to the next gather and are scored.
 */
#ifndef PBT_PBT_INTERVAL_H
#define PBT_PBT_INTERVAL_H

#include "pbt/population.h"

/* Fills the reports of this rank's members.  What goes wrong goes into them too.  A stop
 * (population->stop, or another rank's) cuts training at the end of a slice: then some
 * reports are incomplete.  Local. */
void pbt_interval_run(struct pbt_population *population);

/* The job's metric. */
double pbt_score_of(const struct pbt_scores *scores, enum pbt_metric metric);

#endif
