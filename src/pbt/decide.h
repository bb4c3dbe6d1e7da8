/*
 * decide.h - from the gathered reports to everybody's plan.  Pure: the same on every
 * rank.
 */
#ifndef PBT_PBT_DECIDE_H
#define PBT_PBT_DECIDE_H

#include "pbt/method.h"

/* The hyperparameters that members start with, drawn from the search space: value[i] of
 * member `member` from stream (seed, member, PBT_RNG_SEEDING, restart). */
void pbt_seed_hparams(const struct pbt_job *job, uint32_t member, uint64_t restart,
                      double value[]);

/* What members are to try or to score before pbt_decide: nothing where no method of the
 * job proposes, during burn-in and after the last evaluation.  plan[i].value holds the
 * values in force. */
pbt_status pbt_propose(const struct pbt_round *round, struct pbt_memory *memory,
                       const struct pbt_step_plan plan[], struct pbt_trial trial[]);

/* plan[i].value holds the values in force; all else is filled in.  Exploit (not during
 * burn-in, not after the last evaluation), then the rules:
 *   - a member that diverged takes the state of a good one; where nobody can give (none
 * is finite, or the job exploits nothing) it starts afresh with newly drawn values;
 *   - a member that is not finite never gives;
 *   - one donor a receiver, and no donor receives;
 * then who copies takes over its donor's values as the job says (both, hparams), and
 * explore moves them.  `restarts` counts each member's fresh starts and is raised here.
 * PBT_ERR_INTERNAL if a method broke a rule. */
pbt_status pbt_decide(const struct pbt_round *round, struct pbt_memory *memory,
                      int64_t restarts[], struct pbt_step_plan plan[]);

#endif
