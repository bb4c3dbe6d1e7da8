/* Nothing moves: who copies goes on with its donor's values. */
#include "pbt/explore/explore.h"

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  (void)round;
  (void)memory;
  (void)plan;
  return PBT_OK;
}

const struct pbt_method pbt_explore_none = {
    .name = "none",
    .what = "values stay as they were drawn or copied",
    .source = "",
    .decide = decide,
};
