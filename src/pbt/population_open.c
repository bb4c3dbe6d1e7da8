/*
 * What a population holds, from empty to ready for generation 0.
 */
#include "base/memory.h"    // everything allocated here
#include "pbt/best.h"       // pbt_model_load for a warm start
#include "pbt/checkpoint.h" // a set under way
#include "pbt/decide.h"     // pbt_seed_hparams
#include "pbt/places.h"     // the start-up table of devices
#include "pbt/population.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- replicated memory ---- */

static void add_tensor(struct pbt_tensor tensor[], size_t *n, const char *name,
                       enum pbt_dtype dtype, int64_t rows, int64_t columns) {
  struct pbt_tensor *t = &tensor[(*n)++];
  *t = (struct pbt_tensor){.role = PBT_ROLE_LOCAL, .dtype = dtype};
  snprintf(t->name, sizeof t->name, "%s", name);
  t->ndim = columns > 0 ? 2 : 1;
  t->dim[0] = rows;
  t->dim[1] = columns;
}

enum { KNOWN_TENSORS = 8 };

static bool retires(const struct pbt_job *job) {
  return job->explore.kind == PBT_EXPLORE_LSHADE;
}

static void name_known(struct pbt_population *population) {
  const struct pbt_memory *memory = &population->memory;
  population->known = (struct pbt_known){
      .value = pbt_memory_at(memory, "population/value"),
      .restarts = pbt_memory_at(memory, "population/restarts"),
      .best = pbt_memory_at(memory, "population/best"),
      .best_place = pbt_memory_at(memory, "population/best_place"),
      .dead_generations = pbt_memory_at(memory, "population/dead_generations"),
      .agreed = pbt_memory_at(memory, "population/agreed"),
      .test = pbt_memory_at(memory, "population/test")};
  if (retires(population->job)) {
    population->known.asleep = pbt_memory_at(memory, "population/asleep");
  }
}

pbt_status pbt_memory_open(const struct pbt_job *job, struct pbt_memory *memory) {
  struct pbt_tensor *tensor = NULL;
  PBT_TRY(PBT_NEW(KNOWN_TENSORS + PBT_METHODS * PBT_METHOD_TENSORS, &tensor));
  memory->state.tensor = tensor;
  size_t n = 0;
  int64_t members = job->population.size;
  int64_t columns = job->search.n > 0 ? job->search.n : 1;
  add_tensor(tensor, &n, "population/value", PBT_F64, members, columns);
  add_tensor(tensor, &n, "population/restarts", PBT_I64, members, 0);
  add_tensor(tensor, &n, "population/best", PBT_F64, PBT_SCORES, 0);
  add_tensor(tensor, &n, "population/best_place", PBT_I64, 2, 0);
  add_tensor(tensor, &n, "population/dead_generations", PBT_I64, 1, 0);
  add_tensor(tensor, &n, "population/agreed", PBT_U64, 1, 0);
  add_tensor(tensor, &n, "population/test", PBT_F64, PBT_SCORES, 0);
  if (retires(job)) {
    add_tensor(tensor, &n, "population/asleep", PBT_I64, members, 0);
  }
  n += (size_t)pbt_method_tensors(job, tensor + n);
  PBT_TRY(pbt_state_layout(tensor, n, &memory->state));
  return pbt_mem_alloc(memory->state.bytes, (void **)&memory->image);
}

void pbt_memory_close(struct pbt_memory *memory) {
  pbt_mem_free(memory->image);
  pbt_mem_free((void *)memory->state.tensor);
  *memory = (struct pbt_memory){0};
}

static pbt_status open_memory(struct pbt_population *population) {
  PBT_TRY(pbt_memory_open(population->job, &population->memory));
  name_known(population);
  for (int i = 0; i < PBT_SCORES; i++) {
    population->known.best[i] = (double)NAN;
    population->known.test[i] = (double)NAN;
  }
  population->known.best_place[0] = -1;
  population->known.best_place[1] = -1;
  for (int64_t i = 0; i < population->n; i++) {
    pbt_seed_hparams(population->job, (uint32_t)i, 0,
                     population->known.value + i * population->columns);
  }
  return PBT_OK;
}

/* ---- data and tasks ---- */

pbt_status pbt_population_agree(struct pbt_population *population, pbt_status mine) {
  pbt_status status = pbt_comm_agree(population->comm, mine);
  population->shared = status != PBT_OK;
  return status;
}

static pbt_status open_data(struct pbt_population *population) {
  const struct pbt_task_ops *ops = population->task_ops;
  if (ops->data_probe == NULL) {
    return PBT_OK;
  }
  size_t bytes = 0;
  PBT_TRY(pbt_population_agree(population, ops->data_probe(population->job, &bytes)));
  pbt_status status = pbt_comm_node_memory(population->comm, bytes, &population->data);
  population->shared = status != PBT_OK; // it agrees
  PBT_TRY(status);
  if (population->data.fill) {
    status = ops->data_load(population->job, population->data.data, bytes);
  }
  PBT_TRY(pbt_population_agree(population, status));
  return pbt_comm_node_ready(population->comm, &population->data);
}

static pbt_status open_member(struct pbt_population *population,
                              struct pbt_member *member) {
  const struct pbt_task_env env = {.job = population->job,
                                   .data = population->data.data,
                                   .member = (uint32_t)member->id,
                                   .node_rank = pbt_comm_node_rank(population->comm)};
  PBT_TRY(population->task_ops->open(&env, &member->task));
  if (population->job->warm_start[0] != '\0') {
    PBT_TRY(pbt_model_load(population->job->warm_start, member->task));
  }
  return PBT_OK;
}

/* Where states do not lie in host memory messages pass through it, unless MPI shall take
 * them from the device: a choice that is made by hand and that MPI must confirm. */
static pbt_status open_staging(struct pbt_population *population) {
  const struct pbt_task_ops *ops = population->task_ops;
  struct pbt_task *task = population->member[0].task;
  if (ops->state_map != NULL && ops->state_map(task) != NULL) {
    return PBT_OK;
  }
  const char *choice = getenv("PBT_CUDA_AWARE_MPI");
  if (choice != NULL && strcmp(choice, "1") == 0 && ops->state_address != NULL) {
    PBT_TRY(pbt_comm_device_memory());
    population->reaches_device = true;
  }
  return pbt_mem_alloc(ops->state(task)->travel_bytes, (void **)&population->staging);
}

static pbt_status open_members(struct pbt_population *population) {
  for (int64_t i = population->begin; i < population->end; i++) {
    struct pbt_member *member = &population->member[i - population->begin];
    member->id = i;
    PBT_TRY(open_member(population, member));
  }
  const struct pbt_task *task = population->member[0].task;
  if (pbt_has_trials(population->job)) {
    PBT_TRY(PBT_NEW(population->n, &population->trial));
    PBT_TRY(PBT_NEW(2 * population->n, &population->trial_digest));
  }
  if (pbt_trial_steps(population->job) > 0) {
    int64_t n = population->end - population->begin;
    size_t bytes = population->task_ops->state(task)->bytes;
    PBT_TRY(pbt_mem_alloc_n((size_t)n, bytes, (void **)&population->trial_image));
  }
  return open_staging(population);
}

/* Another instruction set or network build would break bitwise agreement later: find it
 * now. */
static pbt_status check_alike(struct pbt_population *population) {
  struct {
    uint64_t signature;
    char describe[120];
  } mine = {0};
  const struct pbt_task *task = population->member[0].task;
  mine.signature = population->task_ops->state(task)->signature;
  if (population->task_ops->describe != NULL) {
    snprintf(mine.describe, sizeof mine.describe, "%s",
             population->task_ops->describe(task));
  }
  bool same = false;
  PBT_TRY(pbt_comm_same(population->comm, &mine, sizeof mine, &same));
  if (!same) {
    pbt_status status = pbt_fail(PBT_ERR_UNAVAILABLE,
                                 "ranks differ: this one runs on \"%s\"; start all on "
                                 "one kind of processor, or set "
                                 "PBT_ISA=generic for all",
                                 mine.describe);
    return pbt_population_agree(population, status);
  }
  return PBT_OK;
}

static int64_t resolve(int64_t steps, double epochs, double epoch_steps) {
  if (epochs > 0.0) {
    steps = (int64_t)llround(epochs * epoch_steps);
  }
  return steps > 1 ? steps : 1;
}

static pbt_status resolve_lengths(struct pbt_population *population) {
  const struct pbt_job *job = population->job;
  const struct pbt_task *task = population->member[0].task;
  bool epochs = job->ready.epochs > 0.0 || job->budget.epochs > 0.0;
  if (epochs && population->task_ops->epoch_steps == NULL) {
    return pbt_fail(PBT_ERR_DATA, "this task has no epochs: give ready.steps and "
                                  "budget.generations or budget.steps");
  }
  double epoch_steps = epochs ? population->task_ops->epoch_steps(task) : 0.0;
  population->interval = resolve(job->ready.steps, job->ready.epochs, epoch_steps);
  population->generations = job->budget.generations;
  if (population->generations == 0) {
    int64_t steps = resolve(job->budget.steps, job->budget.epochs, epoch_steps);
    population->generations = (steps + population->interval - 1) / population->interval;
  }
  if (pbt_trial_steps(job) >= population->interval) {
    return pbt_fail(PBT_ERR_DATA,
                    "a trial of %lld steps leaves nothing of an interval of %lld, whose "
                    "last steps it is: set explore.trial_steps below ready.epochs",
                    (long long)pbt_trial_steps(job), (long long)population->interval);
  }
  return PBT_OK;
}

static pbt_status open_arrays(struct pbt_population *population) {
  PBT_TRY(PBT_NEW(population->end - population->begin, &population->member));
  PBT_TRY(PBT_NEW(population->n, &population->report));
  PBT_TRY(PBT_NEW(population->n, &population->order));
  PBT_TRY(PBT_NEW(population->n, &population->plan));
  if (pbt_comm_rank(population->comm) == 0) {
    PBT_TRY(PBT_NEW(population->n, &population->row));
  }
  return open_memory(population);
}

pbt_status pbt_population_open(struct pbt_population *population, struct pbt_comm *comm,
                               const struct pbt_job *job, const char *job_text) {
  population->comm = comm;
  population->job = job;
  population->job_text = job_text;
  population->task_ops = pbt_task_find(job->task.kind);
  population->n = job->population.size;
  population->columns = job->search.n > 0 ? job->search.n : 1;
  snprintf(population->run, sizeof population->run, "%s", job->output);
  pbt_block(population->n, pbt_comm_size(comm), pbt_comm_rank(comm), &population->begin,
            &population->end);
  PBT_TRY(pbt_population_agree(population, open_arrays(population)));
  PBT_TRY(open_data(population));
  PBT_TRY(pbt_population_agree(population, open_members(population)));
  PBT_TRY(check_alike(population));
  PBT_TRY(pbt_places_show(population));
  return pbt_population_agree(population, resolve_lengths(population));
}

void pbt_population_close(struct pbt_population *population) {
  if (population->member != NULL) {
    for (int64_t i = 0; i < population->end - population->begin; i++) {
      if (population->member[i].task != NULL) {
        population->task_ops->close(population->member[i].task);
      }
    }
  }
  pbt_checkpoint_drop(population);
  pbt_progress_close(population->progress);
  pbt_lineage_close(population->lineage);
  pbt_mem_free(population->gather_image);
  pbt_memory_close(&population->memory);
  pbt_mem_free(population->row);
  pbt_mem_free(population->trial_image);
  pbt_mem_free(population->trial_digest);
  pbt_mem_free(population->trial);
  pbt_mem_free(population->plan);
  pbt_mem_free(population->order);
  pbt_mem_free(population->report);
  pbt_mem_free(population->staging);
  pbt_mem_free(population->member);
  *population = (struct pbt_population){0};
}
