/*
 * Perturb (Jaderberg et al. 2017): after a copy each hyperparameter is moved by a factor
 * drawn from the job's list, with the job's probability, or redrawn from its start range
 * with the probability `resample`.  The default factors 0.8 and 1.25 have no drift in the
 * logarithm; the paper's 0.8 and 1.2 lose 2 % a move.
 */
#include "pbt/explore/explore.h"

#include "base/rng.h"

static void move_one(const struct pbt_job *job, int32_t h, struct pbt_rng *rng,
                     struct pbt_step_plan *plan) {
  const struct pbt_hparam *hparam = &job->search.hparam[h];
  bool redraw = pbt_rng_uniform(rng) < job->explore.resample;
  bool move = pbt_rng_uniform(rng) < job->explore.probability;
  double factor =
      job->explore.factor[pbt_rng_below(rng, (uint32_t)job->explore.n_factor)];
  if (redraw) {
    plan->value[h] = pbt_hparam_draw(hparam, rng);
    plan->move[h] = PBT_MOVE_RESAMPLED;
  } else if (move) {
    plan->value[h] =
        pbt_hparam_perturb(hparam, plan->value[h], factor, job->explore.bounds);
    plan->move[h] = PBT_MOVE_PERTURBED;
  }
}

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
      move_one(job, h, &rng, &plan[i]);
    }
  }
  return PBT_OK;
}

const struct pbt_method pbt_explore_perturb = {
    .name = "perturb",
    .what = "after a copy each value moves by a factor, or is redrawn now and then",
    .source = "Jaderberg et al. 2017, arXiv 1711.09846",
    .decide = decide,
};
