/*
 * Replay: every member follows the values listed as `schedule` in [search.NAME], one for
 * each generation, the last one for all that come after.  With the schedule of another
 * run's winner this tells what the schedule is worth without the search; with its last
 * values alone, what its end is worth (the ablation of Jaderberg et al. 2017, section
 * 4.4).
 */
#include "pbt/explore/explore.h"

#include "pbt/seeding.h" // pbt_hparam_scheduled

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  (void)memory;
  for (int64_t i = 0; i < round->n; i++) {
    for (int32_t h = 0; h < round->job->search.n; h++) {
      const struct pbt_hparam *hparam = &round->job->search.hparam[h];
      if (hparam->n_schedule > 0) {
        double value = pbt_hparam_scheduled(hparam, round->generation + 1);
        plan[i].move[h] = value != plan[i].value[h] ? PBT_MOVE_PERTURBED : PBT_MOVE_NONE;
        plan[i].value[h] = value;
      }
    }
  }
  return PBT_OK;
}

const struct pbt_method pbt_explore_replay = {
    .name = "replay",
    .what = "every member follows the values listed in the job",
    .source = "Jaderberg et al. 2017, arXiv 1711.09846, section 4.4",
    .decide = decide,
};
