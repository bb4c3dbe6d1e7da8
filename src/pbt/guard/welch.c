/*
 * Welch guard: a copy that exploit proposes is made only if the donor's last scores are
 * better than the receiver's by Welch's t-test, as t-test selection asks (Jaderberg et
 * al. 2017, section 4.1.1), whatever the exploit method.  A member that diverged is not
 * held back.
 */
#include "pbt/guard/guard.h"

#include "pbt/history.h" // last scores

static const char prefix[] = "guard";

static int tensors(const struct pbt_job *job, struct pbt_tensor tensor[]) {
  return pbt_history_tensors(prefix, job->population.size, job->guard.window, tensor);
}

static void observe(const struct pbt_round *round, struct pbt_memory *memory,
                    const struct pbt_step_plan plan[]) {
  (void)plan;
  struct pbt_history history = pbt_history_at(memory, prefix, round->job->guard.window);
  pbt_history_add(&history, round);
}

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  const struct pbt_job *job = round->job;
  struct pbt_history history = pbt_history_at(memory, prefix, job->guard.window);
  for (int64_t i = 0; i < round->n; i++) {
    if (plan[i].donor != i && pbt_is_finite(round, i) &&
        !pbt_history_better(&history, job->task.sense, i, plan[i].donor,
                            job->guard.level)) {
      plan[i].donor = (int32_t)i;
    }
  }
  return PBT_OK;
}

static void settle(const struct pbt_round *round, struct pbt_memory *memory,
                   const struct pbt_step_plan plan[]) {
  struct pbt_history history = pbt_history_at(memory, prefix, round->job->guard.window);
  pbt_history_follow(&history, round, plan);
}

const struct pbt_method pbt_guard_welch = {
    .name = "welch",
    .what = "a copy must be better by Welch's t-test over the last scores",
    .source = "Jaderberg et al. 2017, arXiv 1711.09846, section 4.1.1",
    .tensors = tensors,
    .observe = observe,
    .decide = decide,
    .settle = settle,
};
