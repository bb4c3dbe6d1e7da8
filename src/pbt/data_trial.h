/*
 * data_trial.h - reads an HDF5 data set once in a process of its own, to see that HDF5's
 * parser gets through it.
 */
#ifndef PBT_PBT_DATA_TRIAL_H
#define PBT_PBT_DATA_TRIAL_H

#include "base/status.h"
#include "pbt/run.h"

/* Starts it, if the job's data are of that kind.  Local; by one rank before MPI starts,
 * for it starts a process, which is not awaited here (see pbt_launcher_ask). */
pbt_status pbt_data_trial_start(const struct pbt_run_options *options);

/* PBT_ERR_DATA if the reader crashed, or took a minute and a second for each megabyte of
 * the file.  Whatever else is wrong with job or data, the launch itself will say. */
pbt_status pbt_data_trial_end(void);

#endif
