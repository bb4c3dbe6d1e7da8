/*
 * DE/rand/1/bin (Storn and Price 1997): each member tries r0 + F (r1 - r2) of three
 * others, crossed with its own values, and goes on with whichever of the two leads to the
 * better score; the trial wins a tie, so that flat places are walked across.  What leaves
 * the bounds stops there.  Nobody's weights travel.
 */
#include "pbt/explore/explore.h"

#include "base/memory.h" // the list of members
#include "pbt/explore/differential.h"
#include "pbt/rank.h" // pbt_better

static double clip(double u) {
  return u < 0.0 ? 0.0 : (u > 1.0 ? 1.0 : u);
}

/* Three of the others, all different. */
static void draw_three(struct pbt_rng *rng, const int32_t member[], int64_t n,
                       int32_t self, int32_t other[3]) {
  for (int k = 0; k < 3; k++) {
    bool taken;
    do {
      other[k] = member[pbt_rng_below(rng, (uint32_t)n)];
      taken = other[k] == self;
      for (int before = 0; before < k; before++) {
        taken = taken || other[k] == other[before];
      }
    } while (taken);
  }
}

static void try_for(const struct pbt_round *round, const int32_t member[], int64_t n,
                    int32_t i, const struct pbt_step_plan plan[],
                    struct pbt_trial *trial) {
  const struct pbt_job *job = round->job;
  struct pbt_rng rng =
      pbt_rng_open(job->seed, (uint32_t)i, PBT_RNG_EXPLORE, (uint64_t)round->generation);
  int32_t other[3];
  double parent[PBT_MAX_HPARAM], r[3][PBT_MAX_HPARAM], mutant[PBT_MAX_HPARAM];
  draw_three(&rng, member, n, i, other);
  pbt_to_units(job, plan[i].value, parent);
  for (int k = 0; k < 3; k++) {
    pbt_to_units(job, plan[other[k]].value, r[k]);
  }
  for (int32_t h = 0; h < job->search.n; h++) {
    mutant[h] = clip(r[0][h] + job->explore.scale * (r[1][h] - r[2][h]));
  }
  double tried[PBT_MAX_HPARAM];
  pbt_cross(&rng, job->search.n, job->explore.crossover, parent, mutant, tried);
  pbt_from_units(job, tried, trial->value);
  trial->tries = true;
  pbt_draw_part(round, i, trial);
}

static pbt_status propose(const struct pbt_round *round, struct pbt_memory *memory,
                          const struct pbt_step_plan plan[], struct pbt_trial trial[]) {
  (void)memory;
  int32_t *member = NULL;
  PBT_TRY(PBT_NEW(round->n, &member));
  int64_t n = pbt_awake(round, member);
  for (int64_t k = 0; k < n && n >= 4; k++) {
    try_for(round, member, n, member[k], plan, &trial[member[k]]);
  }
  pbt_mem_free(member);
  return PBT_OK;
}

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  (void)memory;
  for (int64_t i = 0; i < round->n && round->trial != NULL; i++) {
    const struct pbt_trial trial = pbt_judged(round, i);
    if (trial.tries && trial.fitness - trial.fitness == 0.0 &&
        !pbt_better(round->job->task.sense, trial.parent, trial.fitness)) {
      pbt_take_trial(round, i, &plan[i]);
    }
  }
  return PBT_OK;
}

const struct pbt_method pbt_explore_de = {
    .name = "de",
    .what = "each tries a difference of three others for a few steps, and keeps the "
            "better",
    .source = "DE/rand/1/bin, Storn and Price 1997, doi 10.1023/A:1008202821328",
    .propose = propose,
    .decide = decide,
};
