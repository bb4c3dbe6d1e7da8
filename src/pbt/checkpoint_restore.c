/*
 * A set's bytes are checked before anything parses them (record/checkpoint_set.h); each
 * rank reads the files of its own members, rank 0 what all know alike.
 */
#include "pbt/checkpoint.h"

#include "base/fault.h"         // the site in front of a restore
#include "base/memory.h"        // images
#include "pbt/resize.h"         // another size
#include "record/tensor_file.h" // the files' form

#include <string.h>

static pbt_status restore_facts(struct pbt_tensor_file *file, int64_t source,
                                struct pbt_member *member) {
  int64_t id = -1;
  PBT_TRY(pbt_tensor_file_integer(file, "member", &id));
  if (id != source) {
    return pbt_fail(PBT_ERR_DATA, "this is member %lld's state, not member %lld's",
                    (long long)id, (long long)source);
  }
  PBT_TRY(pbt_tensor_file_integer(file, "interval_steps", &member->interval_steps));
  PBT_TRY(pbt_tensor_file_integer(file, "interval_samples", &member->n_sample));
  return pbt_tensor_file_real(file, "interval_loss_sum", &member->loss_sum);
}

static pbt_status restore_member(struct pbt_population *population,
                                 const struct pbt_manifest *manifest, int64_t source,
                                 struct pbt_member *member) {
  const struct pbt_task_ops *ops = member->task->ops;
  const struct pbt_state *state = ops->state(member->task);
  char name[PBT_SET_FILE_NAME];
  pbt_member_file_name(source, name);
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
  PBT_TRY_TO(done, status, pbt_tensor_file_read(file, state, PBT_ALL_ROLES, image));
  PBT_TRY_TO(done, status, restore_facts(file, source, member));
  PBT_TRY_TO(done, status, ops->state_write(member->task, 0, state->bytes, image));
done:
  if (status != PBT_OK) {
    pbt_context(status, "restoring member %lld", (long long)source);
  }
  pbt_tensor_file_close(file);
  pbt_mem_free(image);
  pbt_mem_free(bytes);
  return status;
}

static pbt_status restore_known(struct pbt_population *population,
                                const struct pbt_manifest *manifest, const char *name,
                                struct pbt_memory *memory) {
  char *bytes = NULL;
  size_t n_bytes = 0;
  struct pbt_tensor_file *file = NULL;
  pbt_status status = pbt_set_read(population->run, manifest, name, &bytes, &n_bytes);
  if (status == PBT_OK) {
    status = pbt_tensor_file_open(name, bytes, n_bytes, &file);
  }
  if (status == PBT_OK) {
    status = pbt_tensor_file_read(file, &memory->state, PBT_ALL_ROLES, memory->image);
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

static bool holds(const struct pbt_manifest *manifest, const char *name) {
  for (size_t i = 0; i < manifest->n_file; i++) {
    if (strcmp(manifest->file[i].name, name) == 0) {
      return true;
    }
  }
  return false;
}

/* Likewise from a set of another size. */
static pbt_status restore_resized(struct pbt_population *population,
                                  const struct pbt_manifest *manifest, const char *name,
                                  const struct pbt_resize *resize) {
  struct pbt_job *job = NULL;
  struct pbt_memory old = {0};
  PBT_TRY(PBT_NEW(1, &job));
  *job = *population->job;
  job->population.size = resize->before;
  pbt_status status = pbt_memory_open(job, &old);
  if (status == PBT_OK) {
    status = restore_known(population, manifest, name, &old);
  }
  if (status == PBT_OK) {
    pbt_resize_memory(population, resize, &old);
  }
  pbt_memory_close(&old);
  pbt_mem_free(job);
  return status;
}

static pbt_status open_resize(struct pbt_population *population,
                              const struct pbt_manifest *manifest,
                              struct pbt_resize *resize) {
  if (resize == NULL) {
    pbt_status status =
        pbt_fail(PBT_ERR_DATA,
                 "the checkpoint in %s has %lld members, the job %lld: --resize %lld "
                 "changes the population's size",
                 population->run, (long long)manifest->n_member, (long long)population->n,
                 (long long)population->n);
    return pbt_population_agree(population, status);
  }
  return pbt_resize_open(population, manifest->n_member, manifest->generation, resize);
}

pbt_status pbt_checkpoint_restore(struct pbt_population *population,
                                  const struct pbt_manifest *manifest,
                                  struct pbt_resize *resize) {
  struct pbt_comm *comm = population->comm;
  pbt_status status = PBT_OK;
  bool resized = manifest->n_member != population->n;
  if (resized) {
    PBT_TRY(open_resize(population, manifest, resize));
  }
  /* The budget grew: the last generation is decided again, as one in mid-run. */
  bool again = !resized && manifest->finished &&
               manifest->generation < population->generations &&
               holds(manifest, "last-gather.h5");
  const char *known = again ? "last-gather.h5" : "population.h5";
  if (pbt_comm_rank(comm) == 0) {
    status = resized ? restore_resized(population, manifest, known, resize)
                     : restore_known(population, manifest, known, &population->memory);
    if (status == PBT_OK) {
      status = restore_best(population, manifest);
    }
  }
  for (int64_t i = 0; i < population->end - population->begin && status == PBT_OK; i++) {
    struct pbt_member *member = &population->member[i];
    int64_t source = resized ? resize->source[member->id] : member->id;
    status = restore_member(population, manifest, source, member);
    if (holds(manifest, "last-gather.h5") && !again) { // its interval is over
      member->interval_steps = member->n_sample = 0;
      member->loss_sum = 0.0;
    }
  }
  PBT_TRY(pbt_population_agree(population, status));
  population->generation = manifest->generation - (again ? 1 : 0);
  PBT_TRY(
      pbt_comm_broadcast(comm, population->memory.image, population->memory.state.bytes));
  return resized ? pbt_resize_explore(population, resize, manifest->generation) : PBT_OK;
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
