#include "pbt/resize.h"

#include "base/memory.h"         // the arrays
#include "pbt/explore/explore.h" // how clones move
#include "pbt/rank.h"            // the order

#include <string.h>

/* ---- who stays, who comes ---- */

/* From the order of the old members, best first. */
static void choose(struct pbt_resize *resize, const int32_t order[]) {
  int64_t n = resize->before < resize->after ? resize->before : resize->after;
  for (int32_t i = 0; i < n; i++) {
    resize->source[i] = -1;
  }
  for (int64_t i = 0; i < n; i++) { // those that stay in their places
    if (order[i] < n) {
      resize->source[order[i]] = order[i];
    }
  }
  int64_t free_place = 0;
  for (int32_t m = (int32_t)n; m < resize->before; m++) {
    bool stays = false;
    for (int64_t i = 0; i < n; i++) {
      stays = stays || order[i] == m;
    }
    while (stays && resize->source[free_place] != -1) {
      free_place++;
    }
    if (stays) {
      resize->source[free_place] = m;
    }
  }
  for (int64_t i = n; i < resize->after; i++) {
    resize->source[i] = order[(i - n) % resize->before];
  }
}

/* Rank 0: the old members' rows, and their order. */
static pbt_status rank_old(const struct pbt_population *population, int64_t generations,
                           struct pbt_resize *resize) {
  char path[PBT_PATH_BYTES];
  struct pbt_lineage_reader *reader = NULL;
  struct pbt_lineage_shape shape;
  struct pbt_lineage_commit commit;
  struct pbt_report *report = NULL;
  int32_t *order = NULL;
  pbt_status status;
  PBT_TRY(pbt_path_join(path, population->run, "lineage.h5"));
  PBT_TRY(pbt_lineage_open_holding(path, generations, &reader, &shape));
  int64_t most = shape.n_member > resize->after ? shape.n_member : resize->after;
  resize->columns = most;
  PBT_TRY_TO(done, status, PBT_NEW(most, &resize->row));
  for (int64_t m = shape.n_member; m < most; m++) {
    pbt_lineage_absent(population->job->search.hparam, population->job->search.n,
                       (int32_t)m, &resize->row[m]);
  }
  PBT_TRY_TO(done, status,
             pbt_lineage_read(reader, generations - 1, resize->row, &commit));
  if (shape.n_member < resize->before) {
    status = pbt_fail(PBT_ERR_DATA, "%s belongs to another population", path);
    goto done;
  }
  PBT_TRY_TO(done, status, PBT_NEW(resize->before, &report));
  PBT_TRY_TO(done, status, PBT_NEW(resize->before, &order));
  for (int64_t m = 0; m < resize->before; m++) {
    report[m].fitness = resize->row[m].fitness;
  }
  pbt_rank(report, resize->before, population->job->task.sense, population->job->seed,
           generations - 1, order);
  choose(resize, order);
done:
  pbt_mem_free(order);
  pbt_mem_free(report);
  pbt_lineage_reader_close(reader);
  return status;
}

pbt_status pbt_resize_open(struct pbt_population *population, int64_t before,
                           int64_t generations, struct pbt_resize *resize) {
  *resize = (struct pbt_resize){.before = before, .after = population->n};
  pbt_status status = PBT_NEW(resize->after, &resize->source);
  if (status == PBT_OK && population->known.asleep != NULL) {
    status = pbt_fail(PBT_ERR_DATA, "--resize: explore.kind = \"lshade\" changes the "
                                    "population's size by itself");
  }
  if (status == PBT_OK && generations == 0) {
    status =
        pbt_fail(PBT_ERR_DATA, "--resize: no generation is complete yet, so there is "
                               "no order of members: finish one, or begin anew");
  }
  if (status == PBT_OK && pbt_comm_rank(population->comm) == 0) {
    status = rank_old(population, generations, resize);
  }
  PBT_TRY(pbt_population_agree(population, status));
  return pbt_comm_broadcast(population->comm, resize->source,
                            (size_t)resize->after * sizeof *resize->source);
}

void pbt_resize_close(struct pbt_resize *resize) {
  pbt_mem_free(resize->row);
  pbt_mem_free(resize->source);
  *resize = (struct pbt_resize){0};
}

/* ---- what all ranks know ---- */

static bool same_shape(const struct pbt_tensor *a, const struct pbt_tensor *b, int from) {
  bool same = a->ndim == b->ndim && a->dtype == b->dtype;
  for (int d = from; same && d < a->ndim; d++) {
    same = a->dim[d] == b->dim[d];
  }
  return same;
}

enum fit { COPY, BY_MEMBER, ANEW };

static enum fit fit_of(const struct pbt_resize *resize, const struct pbt_tensor *now,
                       const struct pbt_memory *old) {
  const struct pbt_tensor *was = pbt_state_find(&old->state, now->name);
  if (was == NULL) {
    return ANEW;
  }
  if (same_shape(now, was, 0)) {
    return COPY;
  }
  bool by_member = same_shape(now, was, 1) && was->dim[0] == resize->before &&
                   now->dim[0] == resize->after;
  return by_member ? BY_MEMBER : ANEW;
}

/* A method's tensors (named METHOD/...) belong together. */
static bool begins_anew(const struct pbt_resize *resize, const struct pbt_memory *now,
                        const struct pbt_memory *old, const char *name) {
  size_t prefix = strcspn(name, "/") + 1;
  for (size_t i = 0; i < now->state.n; i++) {
    const struct pbt_tensor *tensor = &now->state.tensor[i];
    if (strncmp(tensor->name, name, prefix) == 0 && fit_of(resize, tensor, old) == ANEW) {
      return true;
    }
  }
  return false;
}

void pbt_resize_memory(struct pbt_population *population, const struct pbt_resize *resize,
                       const struct pbt_memory *old) {
  struct pbt_memory *now = &population->memory;
  for (size_t i = 0; i < now->state.n; i++) {
    const struct pbt_tensor *tensor = &now->state.tensor[i];
    char *to = now->image + tensor->offset;
    if (begins_anew(resize, now, old, tensor->name)) {
      memset(to, 0, pbt_tensor_bytes(tensor));
      continue;
    }
    const char *from = pbt_memory_at(old, tensor->name);
    if (fit_of(resize, tensor, old) == COPY) {
      memcpy(to, from, pbt_tensor_bytes(tensor));
      continue;
    }
    size_t row = pbt_tensor_bytes(tensor) / (size_t)tensor->dim[0];
    for (int64_t m = 0; m < resize->after; m++) {
      memcpy(to + (size_t)m * row, from + (size_t)resize->source[m] * row, row);
    }
  }
  /* Fresh starts are drawn by a place's number, so that count stays with the place. */
  const int64_t *restarts = pbt_memory_at(old, "population/restarts");
  for (int64_t m = 0; m < resize->after; m++) {
    population->known.restarts[m] = m < resize->before ? restarts[m] : 0;
  }
}

/* ---- clones move, and the record ---- */

static bool searches(const struct pbt_job *job) {
  switch (job->explore.kind) {
  case PBT_EXPLORE_NONE:
  case PBT_EXPLORE_COSINE:
  case PBT_EXPLORE_STEP:
  case PBT_EXPLORE_REPLAY:
    return false;
  default:
    return true;
  }
}

/* Rank 0: places whose member changed, and those that nobody has any more. */
static void note(struct pbt_resize *resize, const struct pbt_step_plan plan[]) {
  for (int64_t m = resize->after; m < resize->before; m++) {
    resize->row[m].event = PBT_RETIRED;
  }
  for (int64_t m = 0; m < resize->after; m++) {
    int32_t source = resize->source[m];
    if (source == m) {
      continue;
    }
    struct pbt_lineage_row *row = &resize->row[m];
    row->event = m < resize->before ? PBT_MOVED : PBT_CLONED;
    row->parent = resize->row[source].parent;
    row->digest_after = resize->row[source].digest_after;
    memcpy(row->next, plan[m].value, sizeof row->next);
    memcpy(row->move, plan[m].move, sizeof row->move);
  }
}

pbt_status pbt_resize_explore(struct pbt_population *population,
                              struct pbt_resize *resize, int64_t generations) {
  const struct pbt_job *job = population->job;
  struct pbt_step_plan *plan = population->plan;
  size_t row = (size_t)job->search.n * sizeof(double);
  for (int64_t m = 0; m < population->n; m++) {
    plan[m] = (struct pbt_step_plan){.donor = (int32_t)m, .values_of = -1};
    plan[m].moves = m >= resize->before && searches(job);
    memcpy(plan[m].value, population->known.value + m * population->columns, row);
    if (resize->source[m] != m) {
      memset(plan[m].move, PBT_MOVE_INHERITED, sizeof plan[m].move);
    }
  }
  const struct pbt_round round = {
      .job = job, .generation = generations - 1, .n = population->n};
  PBT_TRY(pbt_explore_perturb.decide(&round, &population->memory, plan));
  for (int64_t m = 0; m < population->n; m++) {
    memcpy(population->known.value + m * population->columns, plan[m].value, row);
  }
  if (resize->row != NULL) {
    note(resize, plan);
  }
  return PBT_OK;
}
