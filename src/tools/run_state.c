#include "tools/run_state.h"

#include "base/memory.h"           // pbt_mem_free
#include "base/tensor.h"           // the one tensor that is wanted
#include "record/checkpoint_set.h" // the newest set
#include "record/tensor_file.h"    // its population.h5

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCORES = 4 }; // loss, accuracy, macro-F1, count: the order of population/test

static pbt_status read_test(const char *run, const struct pbt_manifest *manifest,
                            double score[SCORES]) {
  struct pbt_tensor tensor = {.name = "population/test",
                              .role = PBT_ROLE_LOCAL,
                              .dtype = PBT_F64,
                              .ndim = 1,
                              .dim = {SCORES}};
  struct pbt_state state;
  struct pbt_tensor_file *file = NULL;
  char *data = NULL;
  size_t bytes;
  PBT_TRY(pbt_state_layout(&tensor, 1, &state));
  pbt_status status = pbt_set_read(run, manifest, "population.h5", &data, &bytes);
  if (status == PBT_OK) {
    status = pbt_tensor_file_open("population.h5", data, bytes, &file);
  }
  if (status == PBT_OK) {
    status = pbt_tensor_file_read(file, &state, PBT_ROLE_LOCAL, score);
  }
  pbt_tensor_file_close(file);
  pbt_mem_free(data);
  return status;
}

void run_state_read(const struct history *history, struct run_state *state) {
  *state = (struct run_state){.checkpoint_generation = -1};
  if (!history->is_folder) {
    return;
  }
  struct pbt_manifest manifest;
  bool found = false;
  double score[SCORES] = {0};
  state->holder = pbt_run_held_by(history->run, state->host);
  if (pbt_set_newest(history->run, &manifest, &found) == PBT_OK && found) {
    state->finished = manifest.finished;
    state->checkpoint_generation = manifest.generation;
    state->tested = read_test(history->run, &manifest, score) == PBT_OK &&
                    isfinite(score[0]) && score[3] > 0.0;
    pbt_manifest_free(&manifest);
  }
  pbt_error_clear();
  state->test_loss = score[0];
  state->test_accuracy = score[1];
  state->test_macro_f1 = score[2];
  state->test_count = score[3];
}

const char *run_state_text(const struct run_state *state, char text[256]) {
  static const char *const words[] = {[PBT_RUN_HELD] = "running on ",
                                      [PBT_RUN_AFAR] = "running, it says, on ",
                                      [PBT_RUN_DEAD] = "killed on "};
  if (state->holder == PBT_RUN_FREE) {
    snprintf(text, 256, "%s",
             state->finished ? "finished" : "stopped; the same command goes on");
  } else {
    snprintf(text, 256, "%s%s", words[state->holder], state->host);
  }
  return text;
}

double run_state_test(const struct run_state *state, const struct history *history) {
  const char *metric = history->info->metric;
  if (!state->tested) {
    return (double)NAN;
  }
  return strcmp(metric, "loss") == 0       ? state->test_loss
         : strcmp(metric, "macro_f1") == 0 ? state->test_macro_f1
                                           : state->test_accuracy;
}
