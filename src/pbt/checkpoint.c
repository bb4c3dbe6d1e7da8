/*
 * Every file is built as an image in memory, digested and written by the rank that has
 * it; rank 0 collects what the manifest must say and writes it last, after the lineage is
 * on the disk.  So a set that has a manifest is whole, and the lineage holds its
 * generations.
 */
#include "pbt/checkpoint.h"

#include "base/fault.h"         // the site in front of a restore
#include "base/memory.h"        // images
#include "record/tensor_file.h" // the files' form

#include <stdio.h>
#include <string.h>

enum {
  ALL_ROLES = PBT_ROLE_WEIGHT | PBT_ROLE_OPTIMIZER | PBT_ROLE_BUFFER | PBT_ROLE_LOCAL
};

static void member_file_name(int64_t id, char name[PBT_SET_FILE_NAME]) {
  snprintf(name, PBT_SET_FILE_NAME, "member-%05lld.h5", (long long)id);
}

static pbt_status build_member(const struct pbt_population *population,
                               const struct pbt_member *member, const char *image,
                               char **bytes, size_t *n_bytes) {
  const struct pbt_fact fact[] = {
      {.name = "kind", .kind = PBT_FACT_TEXT, .text = "member"},
      {.name = "member", .kind = PBT_FACT_INTEGER, .integer = member->id},
      {.name = "generation", .kind = PBT_FACT_INTEGER, .integer = population->generation},
      {.name = "interval_steps",
       .kind = PBT_FACT_INTEGER,
       .integer = member->interval_steps},
      {.name = "interval_samples", .kind = PBT_FACT_INTEGER, .integer = member->n_sample},
      {.name = "interval_loss_sum", .kind = PBT_FACT_REAL, .real = member->loss_sum},
  };
  return pbt_tensor_file_build(fact, sizeof fact / sizeof *fact,
                               member->task->ops->state(member->task), ALL_ROLES, image,
                               bytes, n_bytes);
}

static pbt_status save_member(struct pbt_population *population,
                              struct pbt_member *member, const char *folder,
                              struct pbt_set_file *file) {
  const struct pbt_task_ops *ops = member->task->ops;
  size_t n_image = ops->state(member->task)->bytes;
  char *copy = NULL, *bytes = NULL;
  size_t n_bytes = 0;
  pbt_status status = PBT_OK;
  const char *image = ops->state_map == NULL ? NULL : ops->state_map(member->task);
  if (image == NULL) {
    PBT_TRY_TO(done, status, pbt_mem_alloc(n_image, (void **)&copy));
    PBT_TRY_TO(done, status, ops->state_read(member->task, 0, n_image, copy));
    image = copy;
  }
  char name[PBT_SET_FILE_NAME];
  member_file_name(member->id, name);
  PBT_TRY_TO(done, status, build_member(population, member, image, &bytes, &n_bytes));
  PBT_TRY_TO(done, status, pbt_set_write(folder, name, bytes, n_bytes, file));
done:
  pbt_mem_free(bytes);
  pbt_mem_free(copy);
  return status;
}

static pbt_status save_known(struct pbt_population *population, const char *folder,
                             struct pbt_set_file *file) {
  const struct pbt_fact fact[] = {
      {.name = "kind", .kind = PBT_FACT_TEXT, .text = "population"},
      {.name = "members", .kind = PBT_FACT_INTEGER, .integer = population->n},
      {.name = "generation", .kind = PBT_FACT_INTEGER, .integer = population->generation},
      {.name = "job", .kind = PBT_FACT_TEXT, .text = population->job_text},
  };
  char *bytes = NULL;
  size_t n_bytes = 0;
  pbt_status status =
      pbt_tensor_file_build(fact, sizeof fact / sizeof *fact, &population->memory.state,
                            ALL_ROLES, population->memory.image, &bytes, &n_bytes);
  if (status == PBT_OK) {
    status = pbt_set_write(folder, "population.h5", bytes, n_bytes, file);
  }
  pbt_mem_free(bytes);
  return status;
}

/* Rank 0's files; *n counts them. */
static pbt_status save_shared(struct pbt_population *population, const char *folder,
                              struct pbt_set_file file[], size_t *n) {
  PBT_TRY(save_known(population, folder, &file[(*n)++]));
  PBT_TRY(pbt_set_write(folder, "job.toml", population->job_text,
                        strlen(population->job_text), &file[(*n)++]));
  if (population->known.best_place[0] >= 0) {
    char best[PBT_PATH_BYTES];
    PBT_TRY(pbt_path_join(best, population->run, "best.h5"));
    PBT_TRY(pbt_set_adopt(folder, "best.h5", best, &file[(*n)++]));
  }
  return PBT_OK;
}

static pbt_status commit(struct pbt_population *population, bool finished,
                         const char *folder, struct pbt_set_file file[]) {
  size_t n = (size_t)population->n;
  PBT_TRY(save_shared(population, folder, file, &n));
  if (population->lineage != NULL) {
    PBT_TRY(pbt_lineage_sync(population->lineage));
  }
  const struct pbt_manifest manifest = {.set = population->next_set,
                                        .generation = population->generation,
                                        .n_member = population->n,
                                        .finished = finished,
                                        .n_file = n,
                                        .file = file};
  return pbt_set_commit(population->run, &manifest, population->job->checkpoint.keep);
}

static pbt_status save_members(struct pbt_population *population, const char *folder,
                               struct pbt_set_file mine[]) {
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    PBT_TRY(save_member(population, &population->member[i], folder, &mine[i]));
  }
  return PBT_OK;
}

pbt_status pbt_checkpoint_save(struct pbt_population *population, bool finished) {
  struct pbt_comm *comm = population->comm;
  bool root = pbt_comm_rank(comm) == 0;
  int64_t n_mine = population->end - population->begin;
  enum { SHARED_FILES = 3 };
  struct pbt_set_file *mine = NULL, *all = NULL;
  char folder[PBT_PATH_BYTES];
  pbt_status status = population->trouble;
  if (status == PBT_OK && root) {
    status = pbt_set_folder(population->run, population->next_set, true, folder);
  }
  PBT_TRY_TO(done, status, pbt_population_agree(population, status));
  if (!root) {
    status = pbt_set_folder(population->run, population->next_set, false, folder);
  }
  if (status == PBT_OK) {
    status = PBT_NEW(n_mine, &mine);
  }
  if (status == PBT_OK && root) {
    status = PBT_NEW(population->n + SHARED_FILES, &all);
  }
  if (status == PBT_OK) {
    status = save_members(population, folder, mine);
  }
  PBT_TRY_TO(done, status, pbt_population_agree(population, status));
  PBT_TRY_TO(done, status, pbt_comm_gather(comm, mine, sizeof *mine, population->n, all));
  if (root) {
    status = commit(population, finished, folder, all);
  }
  PBT_TRY_TO(done, status, pbt_population_agree(population, status));
  population->next_set++;
done:
  pbt_mem_free(all);
  pbt_mem_free(mine);
  return status;
}

/* ---- and back ---- */

static pbt_status restore_facts(struct pbt_tensor_file *file, struct pbt_member *member) {
  int64_t id = -1;
  PBT_TRY(pbt_tensor_file_integer(file, "member", &id));
  if (id != member->id) {
    return pbt_fail(PBT_ERR_DATA, "this is member %lld's state, not member %lld's",
                    (long long)id, (long long)member->id);
  }
  PBT_TRY(pbt_tensor_file_integer(file, "interval_steps", &member->interval_steps));
  PBT_TRY(pbt_tensor_file_integer(file, "interval_samples", &member->n_sample));
  return pbt_tensor_file_real(file, "interval_loss_sum", &member->loss_sum);
}

static pbt_status restore_member(struct pbt_population *population,
                                 const struct pbt_manifest *manifest,
                                 struct pbt_member *member) {
  const struct pbt_task_ops *ops = member->task->ops;
  const struct pbt_state *state = ops->state(member->task);
  char name[PBT_SET_FILE_NAME];
  member_file_name(member->id, name);
  char *bytes = NULL, *image = NULL;
  size_t n_bytes = 0;
  struct pbt_tensor_file *file = NULL;
  pbt_status status = pbt_fault("restore", PBT_ERR_IO);
  if (status != PBT_OK) {
    return status;
  }
  PBT_TRY_TO(done, status,
             pbt_set_read(population->run, manifest, name, &bytes, &n_bytes));
  PBT_TRY_TO(done, status, pbt_tensor_file_open(name, bytes, n_bytes, &file));
  PBT_TRY_TO(done, status, pbt_mem_alloc(state->bytes, (void **)&image));
  PBT_TRY_TO(done, status, pbt_tensor_file_read(file, state, ALL_ROLES, image));
  PBT_TRY_TO(done, status, restore_facts(file, member));
  PBT_TRY_TO(done, status, ops->state_write(member->task, 0, state->bytes, image));
done:
  if (status != PBT_OK) {
    pbt_context(status, "restoring member %lld", (long long)member->id);
  }
  pbt_tensor_file_close(file);
  pbt_mem_free(image);
  pbt_mem_free(bytes);
  return status;
}

static pbt_status restore_known(struct pbt_population *population,
                                const struct pbt_manifest *manifest) {
  char *bytes = NULL;
  size_t n_bytes = 0;
  struct pbt_tensor_file *file = NULL;
  pbt_status status =
      pbt_set_read(population->run, manifest, "population.h5", &bytes, &n_bytes);
  if (status == PBT_OK) {
    status = pbt_tensor_file_open("population.h5", bytes, n_bytes, &file);
  }
  if (status == PBT_OK) {
    status = pbt_tensor_file_read(file, &population->memory.state, ALL_ROLES,
                                  population->memory.image);
  }
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  return status;
}

/* The best model as it was then: a later one belongs to generations that are to be run
 * again. */
static pbt_status restore_best(struct pbt_population *population,
                               const struct pbt_manifest *manifest) {
  char to[PBT_PATH_BYTES];
  PBT_TRY(pbt_path_join(to, population->run, "best.h5"));
  if (population->known.best_place[0] < 0) {
    return pbt_file_remove(to);
  }
  char *bytes = NULL;
  size_t n_bytes = 0;
  PBT_TRY(pbt_set_read(population->run, manifest, "best.h5", &bytes, &n_bytes));
  pbt_status status = pbt_file_replace(to, bytes, n_bytes);
  pbt_mem_free(bytes);
  return status;
}

pbt_status pbt_checkpoint_restore(struct pbt_population *population,
                                  const struct pbt_manifest *manifest) {
  struct pbt_comm *comm = population->comm;
  pbt_status status = PBT_OK;
  if (pbt_comm_rank(comm) == 0) {
    status = restore_known(population, manifest);
    if (status == PBT_OK) {
      status = restore_best(population, manifest);
    }
  }
  for (int64_t i = 0; i < population->end - population->begin && status == PBT_OK; i++) {
    status = restore_member(population, manifest, &population->member[i]);
  }
  PBT_TRY(pbt_population_agree(population, status));
  population->generation = manifest->generation;
  return pbt_comm_broadcast(comm, population->memory.image,
                            population->memory.state.bytes);
}

pbt_status pbt_manifest_share(struct pbt_comm *comm, pbt_status status,
                              struct pbt_manifest *manifest) {
  char *files = (char *)manifest->file;
  size_t bytes = manifest->n_file * sizeof *manifest->file;
  status = pbt_comm_share(comm, status, &files, &bytes);
  if (status == PBT_OK) {
    status = pbt_comm_broadcast(comm, manifest, sizeof *manifest);
    manifest->file = (struct pbt_set_file *)(void *)files;
  }
  return status;
}
