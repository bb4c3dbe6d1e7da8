/*
 * history.h - the last scores of every member, as tensors of a method's memory.  Pure.
 *
 * A history belongs to the weights: who takes another's weights takes over its history,
 * who starts afresh has none, and a score that is no finite number ends one.
 */
#ifndef PBT_PBT_HISTORY_H
#define PBT_PBT_HISTORY_H

#include "pbt/method.h"

enum { PBT_HISTORY_TENSORS = 2 };

/* The tensors `prefix`/score and `prefix`/count. */
int pbt_history_tensors(const char *prefix, int64_t n, int64_t window,
                        struct pbt_tensor tensor[]);

struct pbt_history {
  int64_t window;
  double *score;  // (n, window), a ring each
  int64_t *count; // (n) scores ever
};
struct pbt_history pbt_history_at(const struct pbt_memory *memory, const char *prefix,
                                  int64_t window);

void pbt_history_add(struct pbt_history *history, const struct pbt_round *round);
void pbt_history_follow(struct pbt_history *history, const struct pbt_round *round,
                        const struct pbt_step_plan plan[]);

/* Is the history of b better than that of a, by Welch's test at this level (one-sided)?
 */
bool pbt_history_better(const struct pbt_history *history, enum pbt_sense sense,
                        int64_t a, int64_t b, double level);

#endif
