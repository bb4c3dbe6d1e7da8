/*
 * run_state.h - what a run folder says besides its lineage: is it still running, is it
 * done, and how did the winner do on the test set?  Local, reading only.
 */
#ifndef PBT_TOOLS_RUN_STATE_H
#define PBT_TOOLS_RUN_STATE_H

#include "record/run_folder.h" // who holds it
#include "tools/history.h"

struct run_state {
  bool finished; // the newest checkpoint says that nothing is left to train
  enum pbt_run_holder holder;
  char host[PBT_RUN_HOST];
  int64_t checkpoint_generation; // generations completed at the newest one, -1: none
  bool tested;
  double test_loss, test_accuracy, test_macro_f1, test_count;
};

/* A bare lineage file has none of it.  What cannot be read is left out: never an error.
 */
void run_state_read(const struct history *history, struct run_state *state);

/* "finished", "running on node7", "killed", "stopped, can be resumed". */
const char *run_state_text(const struct run_state *state, char text[256]);

/* The winner's score on the test set in the run's own metric; NaN if there is none. */
double run_state_test(const struct run_state *state, const struct history *history);

#endif
