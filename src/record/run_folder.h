/*
 * run_folder.h - RUN itself: its lock, its live log and where things lie in it.  Local.
 *
 *   RUN/job.toml        effective job, defaults marked
 *   RUN/lineage.h5      record/lineage.h
 *   RUN/progress.jsonl  one line per committed generation
 *   RUN/checkpoints/    record/checkpoint_set.h
 *   RUN/best.h5         the winner so far, record/tensor_file.h
 *   RUN/lock            who writes here
 */
#ifndef PBT_RECORD_RUN_FOLDER_H
#define PBT_RECORD_RUN_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h" // PBT_PATH_BYTES
#include "base/status.h"

/* Takes RUN for this process: RUN/lock with host, pid, the process' start time and the
 * SLURM job id; RUN is created if missing.  A lock of a dead process on this host, or of
 * this SLURM job's earlier start, is taken over by one of those that try; any other is
 * PBT_ERR_UNAVAILABLE with its holder and age unless take_over (a living holder on this
 * host is given a second to leave). */
pbt_status pbt_run_lock(const char *run, bool take_over);
void pbt_run_unlock(const char *run); // removes the lock if it is ours

/* Who writes in RUN, as far as one can see from here.  Reading only. */
enum pbt_run_holder {
  PBT_RUN_FREE, // nobody: it ended by itself
  PBT_RUN_HELD, // a process of this host that is alive
  PBT_RUN_DEAD, // a process that was killed
  PBT_RUN_AFAR  // a process of another host: alive or not
};
enum { PBT_RUN_HOST = 128 };
enum pbt_run_holder pbt_run_held_by(const char *run, char host[PBT_RUN_HOST]);

/* Moves RUN to the first free RUN.1, RUN.2, ...; fine if there is no RUN (`moved` is "").
 * Refused as pbt_run_lock refuses while somebody else writes there; our own lock in it is
 * given up. */
pbt_status pbt_run_set_aside(const char *run, char moved[PBT_PATH_BYTES]);

/* RUN/progress.jsonl: cut to the lines of generations below `keep` (a new file renamed
 * over), then opened for appending. */
struct pbt_progress;
pbt_status pbt_progress_open(const char *run, int64_t keep,
                             struct pbt_progress **progress);
/* One line, "{...}" without a newline; it holds "generation": N. */
pbt_status pbt_progress_append(struct pbt_progress *progress, const char *line);
void pbt_progress_close(struct pbt_progress *progress); // NULL is fine

#endif
