#include "pbt/decide.h"

#include "base/rng.h" // who gives to a diverged member

#include <math.h>
#include <string.h>

void *pbt_memory_at(const struct pbt_memory *memory, const char *name) {
  return memory->image + pbt_state_find(&memory->state, name)->offset;
}

int64_t pbt_quantile(double fraction, int64_t n) {
  int64_t count = (int64_t)ceil(fraction * (double)n - 1e-9);
  if (count < 1) {
    count = 1;
  }
  return count < n / 2 ? count : n / 2;
}

static bool diverged(const struct pbt_round *round, int64_t member) {
  return !isfinite(round->report[member].fitness) && !pbt_is_asleep(round, member);
}

/* A good one at random: from the best quantile that is finite, or the next after it that
 * does not itself receive; -1 if all finite members receive. */
static int32_t rescuer(const struct pbt_round *round, int64_t member,
                       const struct pbt_step_plan plan[]) {
  int64_t n = pbt_quantile(round->job->exploit.fraction, round->n);
  n = n < round->n_finite ? n : round->n_finite;
  struct pbt_rng rng = pbt_rng_open(round->job->seed, (uint32_t)member, PBT_RNG_EXPLOIT,
                                    (uint64_t)round->generation);
  int64_t place = pbt_rng_below(&rng, (uint32_t)n);
  for (int64_t tried = 0; tried < round->n_finite; tried++) {
    int32_t donor = round->order[(place + tried) % round->n_finite];
    if (plan[donor].donor == donor) {
      return donor;
    }
  }
  return -1;
}

static void rescue_diverged(const struct pbt_round *round, struct pbt_step_plan plan[]) {
  bool can_give = round->n_finite > 0 && round->n > 1 &&
                  round->job->exploit.kind != PBT_EXPLOIT_NONE &&
                  pbt_copies_weights(round->job);
  for (int64_t i = 0; i < round->n; i++) {
    if (!diverged(round, i)) {
      continue;
    }
    if (!can_give) {
      plan[i].donor = -1;
    } else if (plan[i].donor == i) {
      plan[i].donor = rescuer(round, i, plan);
    }
  }
}

static pbt_status check_rules(const struct pbt_round *round,
                              const struct pbt_step_plan plan[]) {
  for (int64_t i = 0; i < round->n; i++) {
    int32_t donor = plan[i].donor;
    if (donor == i || donor == -1) {
      continue;
    }
    if (donor < -1 || donor >= round->n) {
      return PBT_BUG("a plan names a donor outside the population");
    }
    if (!isfinite(round->report[donor].fitness)) {
      return PBT_BUG("a plan lets a diverged member give");
    }
    if (plan[donor].donor != donor) {
      return PBT_BUG("a plan lets a receiver give");
    }
    int32_t from = plan[i].values_of == -1 ? donor : plan[i].values_of;
    if (from < 0 || from >= round->n || plan[from].donor != from) {
      return PBT_BUG("a plan lets a receiver give its values");
    }
  }
  return PBT_OK;
}

/* Who moves: whoever copies, unless its exploit method says otherwise, or everybody. */
static void choose_movers(const struct pbt_round *round, struct pbt_step_plan plan[]) {
  bool all = round->job->explore.who == PBT_WHO_ALL &&
             round->generation >= round->job->ready.burn_in;
  for (int64_t i = 0; i < round->n; i++) {
    bool copies = plan[i].donor != i;
    bool moves = all || plan[i].moves || (copies && !plan[i].quiet);
    plan[i].moves = moves && plan[i].donor != -1 && !pbt_is_asleep(round, i);
  }
}

static void name_events(const struct pbt_round *round, struct pbt_step_plan plan[]) {
  for (int64_t i = 0; i < round->n; i++) {
    if (plan[i].donor == -1) {
      plan[i].event = PBT_RESTARTED;
    } else if (diverged(round, i)) {
      plan[i].event = PBT_DIVERGED;
    } else {
      plan[i].event = plan[i].donor == i ? PBT_KEPT : PBT_COPIED;
    }
  }
}

/* Givers of values keep their own, so the order of members does not matter. */
static void inherit_values(const struct pbt_round *round, int64_t restarts[],
                           struct pbt_step_plan plan[]) {
  const struct pbt_job *job = round->job;
  bool values_travel = job->exploit.copy != PBT_COPY_WEIGHTS;
  for (int64_t i = 0; i < round->n; i++) {
    int32_t donor = plan[i].donor;
    if (donor == -1) {
      restarts[i]++;
      pbt_seed_hparams(job, (uint32_t)i, (uint64_t)restarts[i], plan[i].value);
      memset(plan[i].move, PBT_MOVE_RESAMPLED, sizeof plan[i].move);
    } else if (donor != i && values_travel) {
      int32_t from = plan[i].values_of == -1 ? donor : plan[i].values_of;
      memcpy(plan[i].value, plan[from].value, sizeof plan[i].value);
      memset(plan[i].move, PBT_MOVE_INHERITED, sizeof plan[i].move);
    }
  }
}

pbt_status pbt_propose(const struct pbt_round *round, struct pbt_memory *memory,
                       const struct pbt_step_plan plan[], struct pbt_trial trial[]) {
  for (int64_t i = 0; i < round->n; i++) {
    trial[i] =
        (struct pbt_trial){.rival = -1, .parent = (double)NAN, .fitness = (double)NAN};
  }
  if (round->last || round->generation < round->job->ready.burn_in) {
    return PBT_OK;
  }
  const struct pbt_method *method[PBT_METHODS];
  pbt_methods_of(round->job, method);
  for (int m = 0; m < PBT_METHODS; m++) {
    if (method[m]->propose != NULL) {
      PBT_TRY(method[m]->propose(round, memory, plan, trial));
    }
  }
  for (int64_t i = 0; i < round->n; i++) {
    if (!isfinite(round->report[i].fitness)) {
      trial[i].tries = false;
      trial[i].rival = -1;
    }
  }
  return PBT_OK;
}

pbt_status pbt_decide(const struct pbt_round *round, struct pbt_memory *memory,
                      int64_t restarts[], struct pbt_step_plan plan[]) {
  const struct pbt_job *job = round->job;
  for (int64_t i = 0; i < round->n; i++) {
    plan[i].donor = (int32_t)i;
    plan[i].values_of = -1;
    plan[i].quiet = plan[i].moves = plan[i].takes_trial = plan[i].sleeps = 0;
    memset(plan[i].move, PBT_MOVE_NONE, sizeof plan[i].move);
  }
  const struct pbt_method *method[PBT_METHODS];
  pbt_methods_of(job, method);
  for (int m = 0; m < PBT_METHODS; m++) {
    if (method[m]->observe != NULL) {
      method[m]->observe(round, memory, plan);
    }
  }
  if (round->last) {
    name_events(round, plan);
    return PBT_OK;
  }
  if (round->generation >= job->ready.burn_in && job->exploit.copy != PBT_COPY_NONE) {
    for (int m = 0; m < PBT_METHODS - 1; m++) { // exploit, then its guard
      PBT_TRY(method[m]->decide(round, memory, plan));
    }
  }
  rescue_diverged(round, plan);
  PBT_TRY(check_rules(round, plan));
  name_events(round, plan);
  inherit_values(round, restarts, plan);
  choose_movers(round, plan);
  PBT_TRY(method[PBT_METHODS - 1]->decide(round, memory, plan));
  for (int m = 0; m < PBT_METHODS; m++) {
    if (method[m]->settle != NULL) {
      method[m]->settle(round, memory, plan);
    }
  }
  return PBT_OK;
}
