/*
 * generation_record.h - a generation into the lineage, the live log and the display.
 */
#ifndef PBT_PBT_GENERATION_RECORD_H
#define PBT_PBT_GENERATION_RECORD_H

#include "pbt/population.h"

/* Before known.value takes the plan's values: rank 0 notes what was in force. */
void pbt_record_begin(struct pbt_population *population);
/* After the transfer: rank 0 collects what each member reports of it, appends the
 * lineage's rows and commits them, appends to progress.jsonl and prints the generation's
 * line.  A failure to write is rank 0's trouble, not an error.  Collective. */
pbt_status pbt_record_generation(struct pbt_population *population);

#endif
