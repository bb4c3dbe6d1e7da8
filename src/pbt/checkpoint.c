/*
 * Every file is built as an image in memory and digested by the rank that has it, in the
 * main thread, because HDF5 allows no other; then it is written, by a thread where the
 * job says checkpoint.async, while the next interval trains.  Rank 0 collects what the
 * manifest must say and writes it last, after the lineage is on the disk: at once, or,
 * of a set that a thread writes, at the next ready step.  So a set that has a manifest is
 * whole, and the lineage holds its generations; until then the set before it counts.
 */
#include "pbt/checkpoint.h"

#include "base/clock.h"         // what it costs
#include "base/memory.h"        // images
#include "record/tensor_file.h" // the files' form

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* One file of this rank. */
struct item {
  char name[PBT_SET_FILE_NAME];
  char *bytes; // until it is written; NULL: RUN/best.h5, adopted as it is
  size_t n_bytes;
};

/* A set under way. */
struct pbt_saving {
  char folder[PBT_PATH_BYTES], best[PBT_PATH_BYTES];
  bool finished;
  int64_t generation;
  bool threaded, running; // its files are written by a thread, which is not joined yet
  pthread_t thread;
  size_t n;                  // files of this rank: its members, on rank 0 then the shared
  struct item *item;         // (n)
  struct pbt_set_file *file; // (n) what the manifest must say of them
  size_t n_written;
  pbt_status status; // of writing
  char message[PBT_ERROR_BYTES];
  double began, write_seconds;
};

enum { SHARED_FILES = 4 };

void pbt_member_file_name(int64_t id, char name[PBT_SET_FILE_NAME]) {
  snprintf(name, PBT_SET_FILE_NAME, "member-%05lld.h5", (long long)id);
}

/* ---- writing, in either thread ---- */

static pbt_status write_item(struct pbt_saving *saving, size_t i) {
  struct item *item = &saving->item[i];
  struct pbt_set_file *file = &saving->file[i];
  pbt_status status =
      item->bytes == NULL
          ? pbt_set_adopt(saving->folder, item->name, saving->best, file)
          : pbt_set_write(saving->folder, item->name, item->bytes, item->n_bytes, file);
  pbt_mem_free(item->bytes);
  item->bytes = NULL;
  saving->n_written = i + 1;
  return status;
}

static void *write_items(void *argument) {
  struct pbt_saving *saving = argument;
  double before = pbt_seconds();
  while (saving->status == PBT_OK && saving->n_written < saving->n) {
    saving->status = write_item(saving, saving->n_written);
  }
  if (saving->status != PBT_OK) { // the message belongs to the thread
    snprintf(saving->message, sizeof saving->message, "%s", pbt_error());
  }
  saving->write_seconds += pbt_seconds() - before;
  return NULL;
}

/* Takes `bytes` over.  Without a thread it is written here and now, so that one image at
 * a time is in memory. */
static pbt_status put(struct pbt_saving *saving, const char *name, char *bytes,
                      size_t n_bytes) {
  struct item *item = &saving->item[saving->n++];
  *item = (struct item){.bytes = bytes, .n_bytes = n_bytes};
  snprintf(item->name, sizeof item->name, "%s", name);
  if (saving->threaded) {
    return PBT_OK;
  }
  double before = pbt_seconds();
  pbt_status status = write_item(saving, saving->n - 1);
  saving->write_seconds += pbt_seconds() - before;
  return status;
}

/* ---- images ---- */

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
                               member->task->ops->state(member->task), PBT_ALL_ROLES,
                               image, bytes, n_bytes);
}

static pbt_status put_member(struct pbt_population *population, struct pbt_member *member,
                             struct pbt_saving *saving) {
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
  pbt_member_file_name(member->id, name);
  PBT_TRY_TO(done, status, build_member(population, member, image, &bytes, &n_bytes));
  status = put(saving, name, bytes, n_bytes);
done:
  pbt_mem_free(copy);
  return status;
}

/* What all ranks know alike, as it stands in `image`. */
static pbt_status put_known(struct pbt_population *population, const char *name,
                            const char *image, struct pbt_saving *saving) {
  const struct pbt_fact fact[] = {
      {.name = "kind", .kind = PBT_FACT_TEXT, .text = "population"},
      {.name = "members", .kind = PBT_FACT_INTEGER, .integer = population->n},
      {.name = "generation", .kind = PBT_FACT_INTEGER, .integer = population->generation},
      {.name = "job", .kind = PBT_FACT_TEXT, .text = population->job_text},
  };
  char *bytes = NULL;
  size_t n_bytes = 0;
  PBT_TRY(pbt_tensor_file_build(fact, sizeof fact / sizeof *fact,
                                &population->memory.state, PBT_ALL_ROLES, image, &bytes,
                                &n_bytes));
  return put(saving, name, bytes, n_bytes);
}

/* Rank 0's files. */
static pbt_status put_shared(struct pbt_population *population,
                             struct pbt_saving *saving) {
  PBT_TRY(put_known(population, "population.h5", population->memory.image, saving));
  if (saving->finished && population->gather_image != NULL) {
    PBT_TRY(put_known(population, "last-gather.h5", population->gather_image, saving));
  }
  size_t n = strlen(population->job_text);
  char *text = NULL;
  PBT_TRY(pbt_mem_alloc(n + 1, (void **)&text));
  memcpy(text, population->job_text, n);
  PBT_TRY(put(saving, "job.toml", text, n));
  if (population->known.best_place[0] >= 0) {
    PBT_TRY(pbt_path_join(saving->best, population->run, "best.h5"));
    PBT_TRY(put(saving, "best.h5", NULL, 0));
  }
  return PBT_OK;
}

/* ---- a set, from its folder to its manifest ---- */

static void free_saving(struct pbt_population *population) {
  struct pbt_saving *saving = population->saving;
  if (saving == NULL) {
    return;
  }
  if (saving->running) {
    pthread_join(saving->thread, NULL);
  }
  for (size_t i = 0; i < saving->n; i++) {
    pbt_mem_free(saving->item[i].bytes);
  }
  pbt_mem_free(saving->file);
  pbt_mem_free(saving->item);
  pbt_mem_free(saving);
  population->saving = NULL;
}

void pbt_checkpoint_drop(struct pbt_population *population) {
  free_saving(population);
}

static pbt_status begin(struct pbt_population *population, enum pbt_save why) {
  size_t n = (size_t)(population->end - population->begin) + SHARED_FILES;
  struct pbt_saving *saving = NULL;
  PBT_TRY(PBT_NEW(1, &saving));
  population->saving = saving;
  saving->began = pbt_seconds();
  saving->finished = why == PBT_SAVE_END;
  saving->generation = population->generation;
  saving->threaded = population->job->checkpoint.async && why == PBT_SAVE_DUE;
  PBT_TRY(PBT_NEW(n, &saving->item));
  return PBT_NEW(n, &saving->file);
}

static pbt_status put_all(struct pbt_population *population) {
  struct pbt_saving *saving = population->saving;
  for (int64_t i = 0; i < population->end - population->begin; i++) {
    PBT_TRY(put_member(population, &population->member[i], saving));
  }
  if (pbt_comm_rank(population->comm) == 0) {
    PBT_TRY(put_shared(population, saving));
  }
  if (!saving->threaded) {
    return PBT_OK;
  }
  saving->running = pthread_create(&saving->thread, NULL, write_items, saving) == 0;
  if (!saving->running) { // no thread to be had: then without
    write_items(saving);
    pbt_error_clear();
  }
  return PBT_OK; // from here on `status` is the thread's
}

pbt_status pbt_checkpoint_save(struct pbt_population *population, enum pbt_save why) {
  double before = pbt_seconds();
  bool root = pbt_comm_rank(population->comm) == 0;
  PBT_TRY(pbt_checkpoint_settle(population));
  pbt_status status = population->trouble;
  if (status == PBT_OK) {
    status = begin(population, why);
  }
  if (status == PBT_OK && root) {
    status = pbt_set_folder(population->run, population->next_set, true,
                            population->saving->folder);
  }
  PBT_TRY(pbt_population_agree(population, status));
  if (!root) {
    status = pbt_set_folder(population->run, population->next_set, false,
                            population->saving->folder);
  }
  if (status == PBT_OK) {
    status = put_all(population);
  }
  if (population->saving->threaded) {
    population->trouble = status; // of building: shared where the set is settled
    population->checkpoint_seconds += pbt_seconds() - before;
    return PBT_OK;
  }
  population->saving->status = status; // with its message
  population->checkpoint_seconds += pbt_seconds() - before;
  return pbt_checkpoint_settle(population);
}

/* Rank 0: `all` holds the members' files, then this rank's shared ones. */
static pbt_status commit(struct pbt_population *population, struct pbt_set_file all[]) {
  struct pbt_saving *saving = population->saving;
  size_t mine = (size_t)(population->end - population->begin);
  size_t shared = saving->n - mine;
  memcpy(all + population->n, saving->file + mine, shared * sizeof *all);
  if (population->lineage != NULL) {
    PBT_TRY(pbt_lineage_sync(population->lineage));
  }
  const struct pbt_manifest manifest = {.set = population->next_set,
                                        .generation = saving->generation,
                                        .n_member = population->n,
                                        .finished = saving->finished,
                                        .n_file = (size_t)population->n + shared,
                                        .file = all};
  return pbt_set_commit(population->run, &manifest, population->job->checkpoint.keep);
}

void pbt_checkpoint_last_words(const struct pbt_population *population, int64_t set,
                               int64_t generation) {
  char line[2 * PBT_PATH_BYTES + 256];
  if (pbt_comm_rank(population->comm) != 0) {
    return;
  }
  if (set > 0) {
    snprintf(
        line, sizeof line,
        "told to end; saved in %s: %lld of %lld generations (checkpoint %06lld); to go "
        "on: %s",
        population->run, (long long)generation, (long long)population->generations,
        (long long)set, population->command);
  } else {
    snprintf(line, sizeof line,
             "told to end; nothing is saved in %s yet; to begin again: %s",
             population->run, population->command);
  }
  pbt_stop_set_last_words(line);
}

static pbt_status settle(struct pbt_population *population) {
  struct pbt_saving *saving = population->saving;
  bool root = pbt_comm_rank(population->comm) == 0;
  struct pbt_set_file *all = NULL;
  pbt_status status = population->trouble;
  if (saving->running) {
    pthread_join(saving->thread, NULL);
    saving->running = false;
  }
  if (status == PBT_OK && saving->status != PBT_OK) {
    status = saving->status;
    if (saving->message[0] != '\0') {
      pbt_error_set(saving->message);
    }
  }
  if (status == PBT_OK && root) {
    status = PBT_NEW(population->n + SHARED_FILES, &all);
  }
  PBT_TRY_TO(done, status, pbt_population_agree(population, status));
  PBT_TRY_TO(done, status,
             pbt_comm_gather(population->comm, saving->file, sizeof *saving->file,
                             population->n, all));
  if (root) {
    status = commit(population, all);
  }
  PBT_TRY_TO(done, status, pbt_population_agree(population, status));
  pbt_checkpoint_last_words(population, population->next_set, saving->generation);
  population->next_set++;
done:
  pbt_mem_free(all);
  return status;
}

pbt_status pbt_checkpoint_settle(struct pbt_population *population) {
  if (population->saving == NULL) {
    return PBT_OK;
  }
  double before = pbt_seconds();
  pbt_status status = settle(population);
  double seconds = pbt_seconds() - before;
  population->checkpoint_seconds += seconds;
  population->write_seconds = population->saving->write_seconds;
  pbt_stop_note_saving(seconds + population->saving->write_seconds);
  free_saving(population);
  return status;
}
