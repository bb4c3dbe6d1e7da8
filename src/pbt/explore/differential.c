#include "pbt/explore/differential.h"

#include <string.h>

void pbt_to_units(const struct pbt_job *job, const double value[], double unit[]) {
  for (int32_t h = 0; h < job->search.n; h++) {
    unit[h] = pbt_hparam_to_unit(&job->search.hparam[h], value[h]);
  }
}

void pbt_from_units(const struct pbt_job *job, const double unit[], double value[]) {
  for (int32_t h = 0; h < job->search.n; h++) {
    value[h] = pbt_hparam_from_unit(&job->search.hparam[h], unit[h]);
  }
}

int64_t pbt_awake(const struct pbt_round *round, int32_t member[]) {
  int64_t n = 0;
  for (int64_t i = 0; i < round->n; i++) {
    if (!pbt_is_asleep(round, i)) {
      member[n++] = (int32_t)i;
    }
  }
  return n;
}

void pbt_cross(struct pbt_rng *rng, int32_t n, double cr, const double parent[],
               const double mutant[], double trial[]) {
  int32_t always = (int32_t)pbt_rng_below(rng, (uint32_t)n);
  for (int32_t j = 0; j < n; j++) {
    bool crosses = pbt_rng_uniform(rng) < cr || j == always;
    trial[j] = crosses ? mutant[j] : parent[j];
  }
}

void pbt_draw_part(const struct pbt_round *round, int64_t i, struct pbt_trial *trial) {
  const struct pbt_job *job = round->job;
  int64_t count = job->explore.trial_batches * job->optimizer.batch_size;
  if (count == 0 || count >= round->n_validation) {
    return;
  }
  struct pbt_rng rng =
      pbt_rng_open(job->seed, (uint32_t)i, PBT_RNG_PART, (uint64_t)round->generation);
  trial->count = count;
  trial->begin = pbt_rng_below(&rng, (uint32_t)(round->n_validation - count + 1));
}

struct pbt_trial pbt_judged(const struct pbt_round *round, int64_t i) {
  struct pbt_trial trial = round->trial[i];
  if (trial.count > 0) {
    double w = (double)trial.count / (double)round->n_validation;
    double before = (1.0 - w) * round->report[i].fitness;
    trial.parent = before + w * trial.parent;
    trial.fitness = before + w * trial.fitness;
  }
  return trial;
}

void pbt_take_trial(const struct pbt_round *round, int64_t i,
                    struct pbt_step_plan *plan) {
  const double *value = round->trial[i].value;
  for (int32_t h = 0; h < round->job->search.n; h++) {
    if (value[h] != plan->value[h]) {
      plan->move[h] = PBT_MOVE_PERTURBED;
    }
  }
  memcpy(plan->value, value, (size_t)round->job->search.n * sizeof *value);
  plan->takes_trial = 1;
}
