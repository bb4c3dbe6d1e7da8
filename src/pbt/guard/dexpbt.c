/*
 * The thresholds of DexPBT (Petrenko et al. 2023, arXiv 2305.12127): a copy is made only
 * if the donor is better by more than `deviations` standard deviations of the
 * population's scores (the worst fifth left out) and by more than the share `gain` of its
 * own score.  Where it is not, the member keeps its weights and only moves its values.
 */
#include "pbt/guard/guard.h"

#include <math.h>

static double deviation_of(const struct pbt_round *round) {
  int64_t n = round->n_finite - round->n_finite / 5;
  double sum = 0.0, square = 0.0;
  for (int64_t place = 0; place < n; place++) {
    sum += round->report[round->order[place]].fitness;
  }
  for (int64_t place = 0; place < n; place++) {
    double d = round->report[round->order[place]].fitness - sum / (double)n;
    square += d * d;
  }
  return n > 1 ? sqrt(square / (double)n) : 0.0;
}

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  (void)memory;
  const struct pbt_job *job = round->job;
  double least = job->guard.deviations * deviation_of(round);
  for (int64_t i = 0; i < round->n; i++) {
    int32_t donor = plan[i].donor;
    if (donor == i || !pbt_is_finite(round, i)) {
      continue;
    }
    double score = round->report[donor].fitness;
    double gain = score - round->report[i].fitness;
    gain = job->task.sense == PBT_MAXIMIZE ? gain : -gain;
    if (!(gain > least && gain > job->guard.gain * fabs(score))) {
      plan[i].donor = (int32_t)i;
      plan[i].moves = 1;
    }
  }
  return PBT_OK;
}

const struct pbt_method pbt_guard_dexpbt = {
    .name = "dexpbt",
    .what = "a copy must be better by thresholds; else only the values move",
    .source = "Petrenko et al. 2023, arXiv 2305.12127",
    .decide = decide,
};
