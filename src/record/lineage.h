/*
 * lineage.h - RUN/lineage.h5: who was what, generation by generation.
 *
 * One writer (rank 0), appending; readers may follow live (HDF5's SWMR).  Every data set
 * is a plain array [generation, member], created before the first row, fixed-size, one
 * chunk a generation (several in long runs), Fletcher32; `committed` gets its row last,
 * and a generation without one does not exist for readers.  docs/formats.md is the
 * schema.  Serial HDF5, host bytes, local; all HDF5 calls of a process come from one
 * thread.
 */
#ifndef PBT_RECORD_LINEAGE_H
#define PBT_RECORD_LINEAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "job/hparam.h" // struct pbt_hparam, PBT_MAX_HPARAM

enum { PBT_LINEAGE_SCHEMA = 1 };

/* What happened to a member at the end of a generation; the last four where the
 * population's size was changed there. */
enum pbt_event {
  PBT_KEPT,
  PBT_COPIED,
  PBT_DIVERGED,
  PBT_RESTARTED,
  PBT_MOVED,   // a member that stays took this place
  PBT_CLONED,  // a new member, with a copy of another's state
  PBT_RETIRED, // left the population
  PBT_ABSENT,  // not in the population (before, or any more): nothing else in the row
  PBT_EVENTS
};
/* How one hyperparameter moved there. */
enum pbt_move {
  PBT_MOVE_NONE,
  PBT_MOVE_INHERITED,
  PBT_MOVE_PERTURBED,
  PBT_MOVE_RESAMPLED,
  PBT_MOVES
};
const char *pbt_event_name(enum pbt_event event); // "kept", "copied", ...
const char *pbt_move_name(enum pbt_move move);    // "none", "inherited", ...

enum pbt_phase {
  PBT_PHASE_TRAIN,
  PBT_PHASE_EVALUATE,
  PBT_PHASE_EXCHANGE,
  PBT_PHASE_RECORD, // spent on recording the generation before this one
  PBT_PHASE_IDLE,   // waiting for other members in the gather
  PBT_PHASES
};

/* One member in one generation. */
struct pbt_lineage_row {
  double fitness, validation_loss, validation_accuracy, validation_macro_f1;
  double training_loss;
  int64_t steps;  // optimiser steps of this member so far
  int32_t parent; // whose weights it goes on with: itself if kept, -1 if restarted
  uint8_t event;  // enum pbt_event
  uint64_t digest_before; // XXH3 of the travelling state at the gather ...
  uint64_t digest_after;  // ... and after transfers, of the bytes it goes on with
  double seconds[PBT_PHASES];
  double value[PBT_MAX_HPARAM]; // in force during the generation (index for a choice)
  double next[PBT_MAX_HPARAM];  // in force from now on
  uint8_t move[PBT_MAX_HPARAM]; // enum pbt_move
};

/* One generation of the run: the row of `committed`. */
struct pbt_lineage_commit {
  int64_t generation; // from 0
  double unix_time;
  int32_t best_member; // of the run so far
  int32_t best_generation;
  double best_fitness;
  int32_t copies;
};

/* One launch of the program: a row of `starts`. */
struct pbt_lineage_start {
  char time[24], host[64], job_id[32], git_id[48], device[64];
  int32_t ranks;
  int64_t generation; // the first that this launch will write
};

struct pbt_lineage_info {
  int64_t n_member;     // now; of a reader: columns, the most there ever were
  int64_t n_generation; // that are expected, or 0; of a reader 0
  int32_t n_hparam;
  const struct pbt_hparam *hparam;
  const char *job_text; // effective job
  const char *job_name;
  const char *metric; // "accuracy"
  bool maximize;
  uint64_t seed;
  const char *version; // program version and git id
};

struct pbt_lineage;

/* A new file at `path` (PBT_ERR_IO if one is there), with the start's row in it. */
pbt_status pbt_lineage_create(const char *path, const struct pbt_lineage_info *info,
                              const struct pbt_lineage_start *start,
                              struct pbt_lineage **lineage);
/* Goes on after `keep` generations: copies the rows of generations 0 .. keep - 1 and all
 * starts into a new file, renames it over `path`, the old one kept as path.prev.  The
 * file never gets narrower; members beyond info->n_member are PBT_ABSENT from now on.
 * resized: NULL, or the rows of generation keep - 1 as they read after a change of the
 * population's size (as many as the wider of the old file and the new population); only
 * then may the population be larger than the file is wide.
 * PBT_ERR_DATA if the old file does not hold them or belongs to another population. */
pbt_status pbt_lineage_resume(const char *path, const struct pbt_lineage_info *info,
                              const struct pbt_lineage_start *start, int64_t keep,
                              const struct pbt_lineage_row resized[],
                              struct pbt_lineage **lineage);
/* A row of a member that is not there: NaN, itself as parent, values at their bounds. */
void pbt_lineage_absent(const struct pbt_hparam hparam[], int32_t n_hparam,
                        int32_t member, struct pbt_lineage_row *row);
/* info->n_member rows, then the commit; flushed when it returns. */
pbt_status pbt_lineage_append(struct pbt_lineage *lineage,
                              const struct pbt_lineage_row row[],
                              const struct pbt_lineage_commit *commit);
/* To the disk: called at every checkpoint, which makes path.prev unnecessary: removed. */
pbt_status pbt_lineage_sync(struct pbt_lineage *lineage);
/* NULL is fine.  After a failed append or sync nothing more is written. */
pbt_status pbt_lineage_close(struct pbt_lineage *lineage);

/* Reading, also while another process writes: committed generations only.  A file that is
 * damaged or no lineage is PBT_ERR_DATA within a second.  Not in the process that writes:
 * HDF5 holds a file once. */
struct pbt_lineage_reader;
struct pbt_lineage_shape {
  int64_t n_generation, n_member;
  int32_t n_hparam;
  struct pbt_hparam hparam[PBT_MAX_HPARAM]; // name, kind, low, high, options
};
pbt_status pbt_lineage_open(const char *path, struct pbt_lineage_reader **reader,
                            struct pbt_lineage_shape *shape);
/* The first of path and path.prev that can be read and holds so many generations. */
pbt_status pbt_lineage_open_holding(const char *path, int64_t generations,
                                    struct pbt_lineage_reader **reader,
                                    struct pbt_lineage_shape *shape);
pbt_status pbt_lineage_read(struct pbt_lineage_reader *reader, int64_t generation,
                            struct pbt_lineage_row row[],
                            struct pbt_lineage_commit *commit);
/* How many generations are committed by now. */
pbt_status pbt_lineage_count(struct pbt_lineage_reader *reader, int64_t *n_generation);
/* What the file says of its job; borrowed until close. */
const struct pbt_lineage_info *
pbt_lineage_reader_info(const struct pbt_lineage_reader *reader);
/* Every launch, oldest first; *start is counted memory, never NULL. */
pbt_status pbt_lineage_read_starts(struct pbt_lineage_reader *reader,
                                   struct pbt_lineage_start **start, int64_t *n);
void pbt_lineage_reader_close(struct pbt_lineage_reader *reader); // NULL is fine

#endif
