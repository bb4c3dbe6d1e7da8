/*
 * Normal: each hyperparameter takes a step drawn from a normal distribution whose
 * standard deviation is a share of its range (of the logarithm's for log).  With
 * high - low = 10 and a deviation of 0.01 it is the h + 0.1 N(0, 1) of the toy of
 * Jaderberg et al. 2017, figure 2, as others have rebuilt it.  Whole numbers and options
 * move by at least one.
 */
#include "pbt/explore/explore.h"

#include "base/rng.h"

#include <math.h>

/* A step on the unit range; what leaves it is bounced there, which for log is in the
 * logarithm. */
static double step(const struct pbt_hparam *hparam, double value, double by,
                   enum pbt_bounce bounce) {
  if (hparam->kind == PBT_LOG) {
    double unit = pbt_hparam_to_unit(hparam, value) + by;
    if (bounce == PBT_REFLECT) {
      double folded = fmod(fabs(unit), 2.0);
      unit = folded > 1.0 ? 2.0 - folded : folded;
    }
    return pbt_hparam_from_unit(hparam, unit < 0.0 ? 0.0 : (unit > 1.0 ? 1.0 : unit));
  }
  double to = pbt_hparam_bound(hparam, value + by * (hparam->high - hparam->low), bounce);
  bool discrete = hparam->kind == PBT_INT || hparam->kind == PBT_CHOICE;
  if (discrete && to == value) {
    double away = by < 0.0 ? -1.0 : 1.0;
    to = pbt_hparam_bound(hparam, value + away, PBT_CLIP);
    to = to != value ? to : pbt_hparam_bound(hparam, value - away, PBT_CLIP);
  }
  return to;
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
      bool move = pbt_rng_uniform(&rng) < job->explore.probability;
      double by = job->explore.deviation * pbt_rng_normal(&rng);
      if (move) {
        plan[i].value[h] =
            step(&job->search.hparam[h], plan[i].value[h], by, job->explore.bounds);
        plan[i].move[h] = PBT_MOVE_PERTURBED;
      }
    }
  }
  return PBT_OK;
}

const struct pbt_method pbt_explore_normal = {
    .name = "normal",
    .what = "each value takes a normally distributed step, a share of its range",
    .source = "the toy of Jaderberg et al. 2017, arXiv 1711.09846, figure 2",
    .decide = decide,
};
