/*
 * log.h - what the program says besides results and its one error line.
 *
 * Standard error carries info, warnings and errors, one write(2) a line, so that lines of
 * several ranks never mix.  Info comes from rank 0 only.  Local calls; the rank is the
 * only state.
 */
#ifndef PBT_BASE_LOG_H
#define PBT_BASE_LOG_H

#include <stdbool.h>

/* Called once by comm at start; before it, rank 0 of 1 is assumed. */
void pbt_log_set_rank(int rank, int size, const char *host);
int pbt_log_rank(void);

/* Rank 0 only. */
void pbt_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "pbt_mpi: warning: ...", from rank 0 only; _any from the rank that calls, named. */
void pbt_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pbt_warn_any(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "pbt_mpi: ..." : the one line a failing job prints.  Only main.c and comm call it. */
void pbt_print_error(const char *text);

/* One write(2) of the whole text to a descriptor, retried when interrupted. */
void pbt_write_all(int descriptor, const char *text);

#endif
