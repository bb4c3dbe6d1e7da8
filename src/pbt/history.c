#include "pbt/history.h"

#include "pbt/stats.h" // Welch's test

#include <math.h>
#include <string.h>

int pbt_history_tensors(const char *prefix, int64_t n, int64_t window,
                        struct pbt_tensor tensor[]) {
  tensor[0] = pbt_method_tensor(prefix, "score", PBT_F64, n, window);
  tensor[1] = pbt_method_tensor(prefix, "count", PBT_I64, n, 0);
  return PBT_HISTORY_TENSORS;
}

struct pbt_history pbt_history_at(const struct pbt_memory *memory, const char *prefix,
                                  int64_t window) {
  char score[PBT_TENSOR_NAME], count[PBT_TENSOR_NAME];
  struct pbt_tensor name[PBT_HISTORY_TENSORS];
  pbt_history_tensors(prefix, 1, window, name);
  memcpy(score, name[0].name, sizeof score);
  memcpy(count, name[1].name, sizeof count);
  return (struct pbt_history){.window = window,
                              .score = pbt_memory_at(memory, score),
                              .count = pbt_memory_at(memory, count)};
}

void pbt_history_add(struct pbt_history *history, const struct pbt_round *round) {
  for (int64_t i = 0; i < round->n; i++) {
    if (!pbt_is_finite(round, i)) {
      history->count[i] = 0;
      continue;
    }
    history->score[i * history->window + history->count[i] % history->window] =
        round->report[i].fitness;
    history->count[i]++;
  }
}

/* No donor receives, so the order of members does not matter. */
void pbt_history_follow(struct pbt_history *history, const struct pbt_round *round,
                        const struct pbt_step_plan plan[]) {
  size_t row = (size_t)history->window * sizeof *history->score;
  for (int64_t i = 0; i < round->n; i++) {
    int32_t donor = plan[i].donor;
    if (donor == -1) {
      history->count[i] = 0;
    } else if (donor != i && pbt_copies_weights(round->job)) {
      history->count[i] = history->count[donor];
      memcpy(history->score + i * history->window,
             history->score + donor * history->window, row);
    }
  }
}

bool pbt_history_better(const struct pbt_history *history, enum pbt_sense sense,
                        int64_t a, int64_t b, double level) {
  int64_t w = history->window;
  int64_t n_a = history->count[a] < w ? history->count[a] : w;
  int64_t n_b = history->count[b] < w ? history->count[b] : w;
  const double *score_a = history->score + a * w, *score_b = history->score + b * w;
  struct pbt_welch test = sense == PBT_MAXIMIZE
                              ? pbt_welch_test(score_a, n_a, score_b, n_b)
                              : pbt_welch_test(score_b, n_b, score_a, n_a);
  return test.p < level;
}
