/*
 * replay_job.h - the hyperparameter schedule along an ancestry as a job file that replays
 * it.
 */
#ifndef PBT_TOOLS_REPLAY_JOB_H
#define PBT_TOOLS_REPLAY_JOB_H

#include "base/text.h"
#include "tools/ancestry.h"

/* The recorded job, but nobody copies and every member follows the schedule; its name and
 * run folder end in "-replay".  A member that was never replaced does again what it did.
 * PBT_ERR_DATA if the job's text cannot be read by this version, nothing was searched, or
 * the way is longer than a job file may list. */
pbt_status replay_job(const struct history *history, const struct ancestry *way,
                      struct pbt_text *text);

#endif
