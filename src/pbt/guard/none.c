/* Nothing more is asked of a copy. */
#include "pbt/guard/guard.h"

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  (void)round;
  (void)memory;
  (void)plan;
  return PBT_OK;
}

const struct pbt_method pbt_guard_none = {
    .name = "none",
    .what = "nothing more is asked",
    .source = "",
    .decide = decide,
};
