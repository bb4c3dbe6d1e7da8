/*
 * history.h - a whole lineage in plain arrays, which every command works on.
 *
 * Only committed generations, as many as there were when it was loaded.  An array
 * [generation, member] is indexed with history_at().  Local; reads files, writes none.
 */
#ifndef PBT_TOOLS_HISTORY_H
#define PBT_TOOLS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h" // PBT_PATH_BYTES
#include "record/lineage.h"

struct history {
  char run[PBT_PATH_BYTES];             // as the user named it, without a slash behind
  char path[PBT_PATH_BYTES];            // the lineage file
  bool is_folder;                       // run is a run folder, not a bare file
  const struct pbt_lineage_info *info;  // borrowed from reader
  const struct pbt_hparam *hparam;      // [n_hparam]
  int64_t n_generation, n_member, size; // size = n_generation x n_member
  int32_t n_hparam;
  double *fitness, *loss, *accuracy, *macro_f1, *training_loss; // [generation, member]
  int64_t *steps;
  int32_t *parent;
  uint8_t *event;
  double *seconds[PBT_PHASES];
  double *value[PBT_MAX_HPARAM];     // in force during the generation; a choice's index
  uint8_t *move[PBT_MAX_HPARAM];     // how it changes at the end of the generation
  struct pbt_lineage_commit *commit; // [generation]
  struct pbt_lineage_start *start;   // [n_start], oldest first
  int64_t n_start;
  double *elapsed; // [generation]: seconds of running, without pauses between launches
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
};

static inline int64_t history_at(const struct history *history, int64_t generation,
                                 int64_t member) {
  return generation * history->n_member + member;
}

/* `run` is a run folder or a lineage file.  PBT_ERR_MISSING if there is none,
 * PBT_ERR_DATA if it is damaged or foreign.  On failure nothing is held. */
pbt_status history_load(const char *run, struct history *history);
/* The path of the lineage file of a run folder or file, which is there and a file. */
pbt_status history_find(const char *run, char path[PBT_PATH_BYTES], bool *is_folder);
/* From here on reading may take so many seconds, until it is called again. */
void history_patience(bool begin);
void history_free(struct history *history); // a zeroed one is fine

/* Is fitness a better than b?  NaN and infinities are worse than every number. */
bool history_better(const struct history *history, double a, double b);

/* Best, median and worst of the finite ones of a generation; NaN if there are none. */
struct history_spread {
  double best, median, worst;
  int64_t n_finite;
};
struct history_spread history_spread(const struct history *history, int64_t generation,
                                     double scratch[]); // scratch: n_member

/* How many members a generation's exchange copied, saved and restarted. */
struct history_events {
  int64_t event[PBT_EVENTS];
  int64_t copies; // parents other than the member itself
};
struct history_events history_events(const struct history *history, int64_t generation);

/* Generations that the job asks for, 0 if its text does not say. */
int64_t history_planned(const struct history *history);

/* A value as the task saw it: a choice's number. */
double history_effective(const struct history *history, int32_t hparam, int64_t at);

#endif
