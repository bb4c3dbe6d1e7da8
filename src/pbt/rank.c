#include "pbt/rank.h"

#include "base/rng.h" // the coin

#include <math.h>
#include <stdlib.h>

/* Equal step sizes keep equal members equal for ever in a synchronous population, and a
 * strict comparison would then never move one (the toy of the paper's figure 2 stalls):
 * hence a coin for ties, drawn only where one is met. */
struct ranking {
  const struct pbt_report *report;
  enum pbt_sense sense;
  uint64_t seed;
  uint64_t generation;
};

bool pbt_better(enum pbt_sense sense, double a, double b) {
  if (!isfinite(a)) {
    return false;
  }
  if (!isfinite(b)) {
    return true;
  }
  return sense == PBT_MAXIMIZE ? a > b : a < b;
}

static uint64_t coin_of(const struct ranking *ranking, int32_t member) {
  struct pbt_rng rng =
      pbt_rng_open(ranking->seed, (uint32_t)member, PBT_RNG_RANK, ranking->generation);
  return pbt_rng_u64(&rng);
}

static int best_first(const void *left, const void *right, void *context) {
  const struct ranking *ranking = context;
  int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
  double score_a = ranking->report[a].fitness, score_b = ranking->report[b].fitness;
  if (pbt_better(ranking->sense, score_a, score_b)) {
    return -1;
  }
  if (pbt_better(ranking->sense, score_b, score_a)) {
    return 1;
  }
  uint64_t coin_a = coin_of(ranking, a), coin_b = coin_of(ranking, b);
  if (coin_a != coin_b) {
    return coin_a > coin_b ? -1 : 1;
  }
  return a - b;
}

int64_t pbt_rank(const struct pbt_report report[], int64_t n, enum pbt_sense sense,
                 uint64_t seed, int64_t generation, int32_t order[]) {
  struct ranking ranking = {report, sense, seed, (uint64_t)generation};
  int64_t n_finite = 0;
  for (int64_t i = 0; i < n; i++) {
    order[i] = (int32_t)i;
    n_finite += isfinite(report[i].fitness) ? 1 : 0;
  }
  qsort_r(order, (size_t)n, sizeof *order, best_first, &ranking);
  return n_finite;
}
