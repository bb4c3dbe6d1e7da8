/*
 * launcher.h - what the environment of a launch says: which rank this is before MPI has
 * started, when the SLURM allocation ends, and the command that would start it again.
 * Local.
 */
#ifndef PBT_PBT_LAUNCHER_H
#define PBT_PBT_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>

/* Is this process rank 0, as far as its launcher's environment tells?  Before MPI starts.
 */
bool pbt_launcher_is_first(void);

/* Asks `squeue` when the SLURM allocation ends, where SLURM_JOB_END_TIME does not say it.
 * By one rank, before MPI starts, for it starts a process; its answer is not awaited
 * here, so that the other ranks need not wait in MPI_Init. */
void pbt_launcher_ask(void);

/* Seconds until the allocation ends, by SLURM_JOB_END_TIME or by squeue's answer (ten
 * seconds at most).  False outside SLURM or without a limit; then `why` is "" or says in
 * words what could not be learned. */
bool pbt_launcher_seconds_left(double *seconds, char *why, size_t why_bytes);

/* "mpirun -np 4 pbt_mpi job.toml": the command line as a shell would take it, with the
 * launcher in front as far as it is known; cut at the end if it does not fit. */
void pbt_launcher_command(int argc, char *const argv[], char *text, size_t bytes);

#endif
