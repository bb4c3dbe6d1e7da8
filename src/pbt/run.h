/*
 * run.h - one launch of the program, from a parsed command line to a status.
 */
#ifndef PBT_PBT_RUN_H
#define PBT_PBT_RUN_H

#include <stdbool.h>

#include "comm/comm.h"
#include "base/status.h"

struct pbt_run_options {
  const char *job_path;   // NULL: the built-in job
  const char *const *set; // "key=value", in order
  int n_set;
  bool resume_never;  // an old run is moved aside
  bool resize;        // population.size in `set` may differ from the run's
  bool take_over;     // the lock of another is ignored
  bool check;         // print the effective job and the memory it takes; train nothing
  const char *replay; // RUN[:MEMBER] whose schedule is followed, NULL: none
  bool replay_final;  // only the schedule's last values, held constant
  const char *git_id;
  const char *command; // that this launch was started by
  pbt_status refused;  // PBT_OK, or what one rank found of the data, see pbt_error
};

/* Reads and shares the job, opens or resumes the run folder, trains, prints the result.
 * *shared: all ranks return this status and leave quietly; otherwise the caller must end
 * the others with pbt_comm_die.  Collective. */
pbt_status pbt_run(struct pbt_comm *comm, const struct pbt_run_options *options,
                   bool *shared);

#endif
