#include "pbt/best.h"

#include "base/fault.h"         // best_write
#include "base/memory.h"        // images
#include "pbt/rank.h"           // pbt_better
#include "pbt/interval.h"       // pbt_score_of
#include "record/tensor_file.h" // the file's form

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MODEL_ROLES = PBT_ROLE_WEIGHT | PBT_ROLE_BUFFER, MODEL_LIMIT = 1 << 30 };

/* ---- writing ---- */

static pbt_status member_image(const struct pbt_member *member, char **copy,
                               const char **image) {
  const struct pbt_task_ops *ops = member->task->ops;
  *copy = NULL;
  *image = ops->state_map == NULL ? NULL : ops->state_map(member->task);
  if (*image != NULL) {
    return PBT_OK;
  }
  size_t bytes = ops->state(member->task)->bytes;
  PBT_TRY(pbt_mem_alloc(bytes, (void **)copy));
  *image = *copy;
  return ops->state_read(member->task, 0, bytes, *copy);
}

static pbt_status build_model(const struct pbt_population *population,
                              const struct pbt_member *member, const char *image,
                              const char *facts, char **bytes, size_t *n_bytes) {
  const struct pbt_job *job = population->job;
  const struct pbt_known *known = &population->known;
  const struct pbt_fact fact[] = {
      {.name = "kind", .kind = PBT_FACT_TEXT, .text = "model"},
      {.name = "job", .kind = PBT_FACT_TEXT, .text = population->job_text},
      {.name = "network",
       .kind = PBT_FACT_TEXT,
       .text = job->task.kind == PBT_TASK_TOY ? "" : pbt_network_name(job->network.kind)},
      {.name = "model", .kind = PBT_FACT_TEXT, .text = facts},
      {.name = "metric",
       .kind = PBT_FACT_TEXT,
       .text = pbt_metric_name(job->task.metric)},
      {.name = "fitness", .kind = PBT_FACT_REAL, .real = known->best[PBT_FITNESS]},
      {.name = "validation_loss", .kind = PBT_FACT_REAL, .real = known->best[PBT_LOSS]},
      {.name = "validation_accuracy",
       .kind = PBT_FACT_REAL,
       .real = known->best[PBT_ACCURACY]},
      {.name = "member", .kind = PBT_FACT_INTEGER, .integer = known->best_place[0]},
      {.name = "generation", .kind = PBT_FACT_INTEGER, .integer = known->best_place[1]},
      {.name = "seed", .kind = PBT_FACT_INTEGER, .integer = (int64_t)job->seed},
  };
  return pbt_tensor_file_build(fact, sizeof fact / sizeof *fact,
                               member->task->ops->state(member->task), MODEL_ROLES, image,
                               bytes, n_bytes);
}

static pbt_status write_model(const struct pbt_population *population,
                              const struct pbt_member *member) {
  const struct pbt_task_ops *ops = member->task->ops;
  struct pbt_text facts = {0};
  char *copy = NULL, *bytes = NULL;
  const char *image = NULL;
  size_t n_bytes = 0;
  char path[PBT_PATH_BYTES];
  pbt_status status = pbt_fault("best_write", PBT_ERR_IO);
  if (status != PBT_OK) {
    return status;
  }
  if (ops->model_facts != NULL) {
    PBT_TRY_TO(done, status, ops->model_facts(member->task, &facts));
  }
  PBT_TRY_TO(done, status, member_image(member, &copy, &image));
  PBT_TRY_TO(done, status,
             build_model(population, member, image, facts.length > 0 ? facts.data : "",
                         &bytes, &n_bytes));
  PBT_TRY_TO(done, status, pbt_path_join(path, population->run, "best.h5"));
  PBT_TRY_TO(done, status, pbt_file_replace(path, bytes, n_bytes));
done:
  pbt_mem_free(bytes);
  pbt_mem_free(copy);
  pbt_text_free(&facts);
  return status;
}

pbt_status pbt_best_update(struct pbt_population *population) {
  const struct pbt_job *job = population->job;
  struct pbt_known *known = &population->known;
  int32_t winner = -1;
  for (int64_t i = 0; i < population->n; i++) {
    double fitness = population->report[i].fitness;
    double best =
        winner < 0 ? known->best[PBT_FITNESS] : population->report[winner].fitness;
    if (pbt_better(job->task.sense, fitness, best)) {
      winner = (int32_t)i;
    }
  }
  if (winner < 0) {
    return PBT_OK;
  }
  const struct pbt_report *report = &population->report[winner];
  known->best[PBT_FITNESS] = report->fitness;
  known->best[PBT_LOSS] = report->loss;
  known->best[PBT_ACCURACY] = report->accuracy;
  known->best[PBT_MACRO_F1] = report->macro_f1;
  known->best_place[0] = winner;
  known->best_place[1] = population->generation;
  if (pbt_is_local(population, winner) && population->trouble == PBT_OK) {
    population->trouble =
        write_model(population, &population->member[winner - population->begin]);
  }
  return PBT_OK;
}

/* ---- reading ---- */

static pbt_status open_model(const char *path, char **bytes,
                             struct pbt_tensor_file **file) {
  size_t n_bytes = 0;
  PBT_TRY(pbt_file_read(path, MODEL_LIMIT, bytes, &n_bytes));
  return pbt_tensor_file_open(path, *bytes, n_bytes, file);
}

static pbt_status load_into(struct pbt_tensor_file *file, struct pbt_task *task) {
  const struct pbt_state *state = task->ops->state(task);
  char *image = NULL;
  PBT_TRY(pbt_mem_alloc(state->bytes, (void **)&image));
  pbt_status status = task->ops->state_read(task, 0, state->bytes, image);
  if (status == PBT_OK) {
    status = pbt_tensor_file_read(file, state, MODEL_ROLES, image);
  }
  if (status == PBT_OK) {
    status = task->ops->state_write(task, 0, state->bytes, image);
  }
  pbt_mem_free(image);
  return status;
}

pbt_status pbt_model_load(const char *path, struct pbt_task *task) {
  char *bytes = NULL;
  struct pbt_tensor_file *file = NULL;
  pbt_status status = open_model(path, &bytes, &file);
  if (status == PBT_OK) {
    status = load_into(file, task);
  }
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  return status;
}

/* ---- scoring the winner once ---- */

static pbt_status score_on(struct pbt_task *task, const char *path, double test[]) {
  const struct pbt_task_ops *ops = task->ops;
  size_t n = ops->state(task)->bytes;
  char *own = NULL;
  struct pbt_scores scores = {0};
  PBT_TRY(pbt_mem_alloc(n, (void **)&own));
  pbt_status status = ops->state_read(task, 0, n, own);
  if (status == PBT_OK) {
    status = pbt_model_load(path, task);
  }
  if (status == PBT_OK) {
    status = pbt_task_evaluate(task, PBT_SPLIT_TEST, (struct pbt_part){0}, &scores);
  }
  if (status == PBT_OK) {
    status = ops->state_write(task, 0, n, own);
  }
  pbt_mem_free(own);
  test[0] = scores.loss;
  test[1] = scores.accuracy;
  test[2] = scores.macro_f1;
  test[3] = (double)scores.count;
  return status;
}

pbt_status pbt_best_score(struct pbt_population *population) {
  pbt_status status = population->trouble;
  PBT_TRY(pbt_comm_barrier(population->comm)); // best.h5 may come from another rank
  if (pbt_comm_rank(population->comm) == 0 && status == PBT_OK &&
      population->known.best_place[0] >= 0) {
    char path[PBT_PATH_BYTES];
    status = pbt_path_join(path, population->run, "best.h5");
    if (status == PBT_OK) {
      status = score_on(population->member[0].task, path, population->known.test);
    }
  }
  PBT_TRY(pbt_population_agree(population, status));
  return pbt_comm_broadcast(population->comm, population->known.test,
                            PBT_SCORES * sizeof(double));
}

/* ---- pbt_mpi --evaluate ---- */

static void print_scores(const char *what, const struct pbt_scores *scores) {
  printf("%s %.4f  loss %.6f  macro-F1 %.4f  balanced accuracy %.4f  balanced loss %.6f  "
         "(%lld images)\n",
         what, scores->accuracy, scores->loss, scores->macro_f1,
         scores->balanced_accuracy, scores->balanced_loss, (long long)scores->count);
}

static pbt_status evaluate_open(struct pbt_tensor_file *file, const struct pbt_job *job) {
  const struct pbt_task_ops *ops = pbt_task_find(job->task.kind);
  struct pbt_task *task = NULL;
  void *data = NULL;
  size_t bytes = 0;
  struct pbt_scores validation = {0}, test = {0};
  pbt_status status = PBT_OK;
  if (ops->data_probe != NULL) {
    PBT_TRY(ops->data_probe(job, &bytes));
    PBT_TRY(pbt_mem_alloc(bytes, &data));
    PBT_TRY_TO(done, status, ops->data_load(job, data, bytes));
  }
  const struct pbt_task_env env = {.job = job, .data = data};
  PBT_TRY_TO(done, status, ops->open(&env, &task));
  PBT_TRY_TO(done, status, load_into(file, task));
  PBT_TRY_TO(
      done, status,
      pbt_task_evaluate(task, PBT_SPLIT_VALIDATION, (struct pbt_part){0}, &validation));
  PBT_TRY_TO(done, status,
             pbt_task_evaluate(task, PBT_SPLIT_TEST, (struct pbt_part){0}, &test));
  if (ops->split_size == NULL) { // a toy: no samples, one score
    printf("score %.6f\n", pbt_score_of(&validation, job->task.metric));
    goto done;
  }
  print_scores("validation accuracy", &validation);
  print_scores("test accuracy      ", &test);
done:
  if (task != NULL) {
    ops->close(task);
  }
  pbt_mem_free(data);
  return status;
}

pbt_status pbt_model_evaluate(const char *path, const char *const set[], int n_set) {
  char *bytes = NULL, *text = NULL;
  struct pbt_tensor_file *file = NULL;
  struct pbt_job *job = NULL;
  pbt_status status = open_model(path, &bytes, &file);
  if (status == PBT_OK) {
    status = pbt_tensor_file_text(file, "job", &text);
  }
  if (status == PBT_OK) {
    status = PBT_NEW(1, &job);
  }
  if (status == PBT_OK) {
    const struct pbt_job_source source = {.path = path,
                                          .text = text,
                                          .bytes = strlen(text),
                                          .set = set,
                                          .n_set = n_set,
                                          .ranks = 1};
    status = pbt_job_parse(&source, job);
  }
  if (status == PBT_OK) {
    status = evaluate_open(file, job);
  }
  pbt_mem_free(job);
  pbt_mem_free(text);
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  return status;
}
