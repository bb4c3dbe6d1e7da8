/*
 * stop.h - reasons to stop early: USR1, TERM, INT, a time limit, the end of the SLURM
 * allocation, a file RUN/STOP.
 *
 * The handlers only set a flag; the loop looks between slices of training.  A second TERM
 * or INT ends the process at once, with what the last checkpoint holds.  A TERM may also
 * mean that another rank died and this one is about to be killed: so the first one writes
 * the last words, a line that was prepared when there was time.  Local.
 */
#ifndef PBT_PBT_STOP_H
#define PBT_PBT_STOP_H

#include <stdbool.h>

/* As early as can be, before MPI starts: a USR1 sent to a starting rank must not kill it.
 */
void pbt_stop_catch_signals(void);

/* Counted from process start; 0: no limit. */
void pbt_stop_set_limit(double seconds);

/* The allocation ends in so many seconds: stop `margin` before, or earlier where saving
 * takes long (pbt_stop_note_saving), but not before half of the time is used. */
void pbt_stop_set_end(double seconds_left, double margin);
/* What a checkpoint took, from the end of a slice to its manifest. */
void pbt_stop_note_saving(double seconds);

/* One line (copied, without its newline) that says what is saved, and the command that
 * goes on from it: written to standard error by the first TERM, or by the signal that
 * ends the process.  NULL: none. */
void pbt_stop_set_last_words(const char *line);

/* The file whose appearance asks for a stop; looked for at most once a second.  NULL:
 * none. */
void pbt_stop_set_file(const char *path);

enum pbt_stop {
  PBT_GO_ON,
  PBT_STOP_USR1,
  PBT_STOP_TERM,
  PBT_STOP_INT,
  PBT_STOP_LIMIT,
  PBT_STOP_END,
  PBT_STOP_FILE,
  PBT_STOPS
};
enum pbt_stop pbt_stop_reason(void);
const char *pbt_stop_name(enum pbt_stop stop); // "signal USR1", "time limit", ...

#endif
