/*
 * stop.h - reasons to stop early: USR1, TERM, INT, a time limit, a file RUN/STOP.
 *
 * The handlers only set a flag; the loop looks between slices of training.  A second TERM
 * or INT ends the process at once, with what the last checkpoint holds.  Local.
 */
#ifndef PBT_PBT_STOP_H
#define PBT_PBT_STOP_H

#include <stdbool.h>

/* The first statement of main, before MPI starts: a USR1 sent to a starting rank must not
 * kill it. */
void pbt_stop_catch_signals(void);

/* Counted from process start; 0: no limit. */
void pbt_stop_set_limit(double seconds);

/* The file whose appearance asks for a stop; looked for at most once a second.  NULL:
 * none. */
void pbt_stop_set_file(const char *path);

enum pbt_stop {
  PBT_GO_ON,
  PBT_STOP_USR1,
  PBT_STOP_TERM,
  PBT_STOP_INT,
  PBT_STOP_LIMIT,
  PBT_STOP_FILE,
  PBT_STOPS
};
enum pbt_stop pbt_stop_reason(void);
const char *pbt_stop_name(enum pbt_stop stop); // "signal USR1", "time limit", ...

#endif
