/*
 * Resample (Jaderberg et al. 2017): after a copy, each hyperparameter is redrawn from its
 * start range with the job's probability.
 */
#include "pbt/explore/explore.h"

#include "base/rng.h"

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  (void)memory;
  const struct pbt_job *job = round->job;
  for (int64_t i = 0; i < round->n; i++) {
    if (!plan[i].moves) {
      continue;
    }
    struct pbt_rng rng = pbt_rng_open(job->seed, (uint32_t)i, PBT_RNG_EXPLORE,
                                      (uint64_t)round->generation);
    for (int32_t h = 0; h < job->search.n; h++) {
      if (pbt_rng_uniform(&rng) < job->explore.probability) {
        plan[i].value[h] = pbt_hparam_draw(&job->search.hparam[h], &rng);
        plan[i].move[h] = PBT_MOVE_RESAMPLED;
      }
    }
  }
  return PBT_OK;
}

const struct pbt_method pbt_explore_resample = {
    .name = "resample",
    .what = "after a copy values are redrawn from their start range",
    .source = "Jaderberg et al. 2017, arXiv 1711.09846",
    .decide = decide,
};
