/*
 * Rivals' states travel like donors': everybody knows who scores whom, and all take the
 * messages in the order of the receivers' numbers, so that none waits for one that is
 * never sent.
 */
#include "pbt/rival.h"

#include "base/clock.h"   // seconds
#include "base/memory.h"  // room for the states
#include "pbt/interval.h" // pbt_score_of

#include <math.h>
#include <string.h>

static size_t travel_bytes(const struct pbt_population *population) {
  struct pbt_task *task = population->member[0].task;
  return task->ops->state(task)->travel_bytes;
}

static char *image_of(const struct pbt_population *population, int64_t member) {
  size_t place = (size_t)(member - population->begin);
  return population->rival_image + place * travel_bytes(population);
}

/* Member `from`, which is here, as it stands. */
static pbt_status read_state(struct pbt_population *population, int64_t from, char *to) {
  struct pbt_task *task = population->member[from - population->begin].task;
  return task->ops->state_read(task, 0, travel_bytes(population), to);
}

static pbt_status send_state(struct pbt_population *population, int64_t from,
                             const int rank[2]) {
  struct pbt_task *task = population->member[from - population->begin].task;
  char *bytes = task->ops->state_map == NULL ? NULL : task->ops->state_map(task);
  if (bytes == NULL) {
    bytes = population->staging;
    PBT_TRY(read_state(population, from, bytes));
  }
  return pbt_comm_cast(population->comm, rank, 2, bytes, travel_bytes(population), NULL);
}

static pbt_status fetch_for(struct pbt_population *population, int64_t to, int64_t from) {
  int size = pbt_comm_size(population->comm);
  const int rank[2] = {pbt_block_owner(population->n, size, from),
                       pbt_block_owner(population->n, size, to)};
  if (pbt_is_local(population, to) && pbt_is_local(population, from)) {
    return read_state(population, from, image_of(population, to));
  }
  if (pbt_is_local(population, from)) {
    return send_state(population, from, rank);
  }
  if (pbt_is_local(population, to)) {
    return pbt_comm_cast(population->comm, rank, 2, image_of(population, to),
                         travel_bytes(population), NULL);
  }
  return PBT_OK;
}

pbt_status pbt_rivals_fetch(struct pbt_population *population) {
  double began = pbt_seconds();
  for (int64_t i = 0; i < population->n; i++) {
    if (population->trial[i].rival < 0) {
      continue;
    }
    if (population->rival_image == NULL) {
      PBT_TRY(pbt_mem_alloc_n((size_t)(population->end - population->begin),
                              travel_bytes(population),
                              (void **)&population->rival_image));
    }
    PBT_TRY(fetch_for(population, i, population->trial[i].rival));
  }
  double seconds = pbt_seconds() - began;
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    population->member[i].seconds[PBT_PHASE_EVALUATE] += seconds;
  }
  return PBT_OK;
}

void pbt_rivals_free(struct pbt_population *population) {
  pbt_mem_free(population->rival_image);
  population->rival_image = NULL;
}

static pbt_status score(struct pbt_population *population, struct pbt_member *member,
                        double *fitness) {
  const struct pbt_trial *trial = &population->trial[member->id];
  const struct pbt_part part = {.begin = trial->begin, .count = trial->count};
  struct pbt_scores scores = {0};
  PBT_TRY(pbt_task_evaluate(member->task, PBT_SPLIT_VALIDATION, part, &scores));
  *fitness = isfinite(scores.loss) ? pbt_score_of(&scores, population->job->task.metric)
                                   : (double)NAN;
  return PBT_OK;
}

pbt_status pbt_rival_score(struct pbt_population *population, struct pbt_member *member,
                           char *before, double *own, double *rival) {
  const struct pbt_task_ops *ops = member->task->ops;
  size_t bytes = travel_bytes(population);
  double began = pbt_seconds();
  PBT_TRY(score(population, member, own));
  PBT_TRY(ops->state_read(member->task, 0, bytes, before));
  PBT_TRY(ops->state_write(member->task, 0, bytes, image_of(population, member->id)));
  PBT_TRY(score(population, member, rival));
  PBT_TRY(ops->state_write(member->task, 0, bytes, before));
  member->seconds[PBT_PHASE_EVALUATE] += pbt_seconds() - began;
  return PBT_OK;
}
