/*
 * display.h - what a person sees of a running job: a table on standard output, one line a
 * generation, and a live bar on standard error where that is a terminal.  Rank 0 only;
 * the calls do nothing elsewhere.  Local.
 */
#ifndef PBT_PBT_DISPLAY_H
#define PBT_PBT_DISPLAY_H

#include "pbt/population.h"

/* What runs where, and the table's head. */
void pbt_display_start(const struct pbt_population *population, const char *resumed);
/* Progress of this rank within the generation, 0..1; drawn at most ten times a second. */
void pbt_display_bar(const struct pbt_population *population, double done);
/* The generation just gathered and planned. */
void pbt_display_generation(const struct pbt_population *population, double seconds,
                            double seconds_left);
/* The same facts as a line of progress.jsonl. */
void pbt_progress_line(const struct pbt_population *population, double seconds,
                       struct pbt_text *line);
/* The winner, its scores, its schedule (read from RUN/lineage.h5), the files, what next.
 */
pbt_status pbt_display_result(const struct pbt_population *population);

#endif
