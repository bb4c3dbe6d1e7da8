/*
 * The run folder decides what a launch does, and rank 0 alone looks at it:
 *
 *   no folder, or an empty one          begin
 *   a run of this job, not finished     go on from its newest whole checkpoint
 *   a run of this job, finished         print the result again
 *   a run of another job                refuse with the difference, 65
 *   anything else                       refuse, 65
 *
 * Keys that may change on resume (budget, checkpoint, output, threads) make no other job;
 * a finished run with a larger budget goes on.
 */
#include "pbt/run.h"

#include "base/clock.h"  // start time
#include "base/log.h"    // pbt_info
#include "base/memory.h" // job text
#include "pbt/checkpoint.h"
#include "pbt/display.h"
#include "pbt/population.h"
#include "pbt/replay.h" // --replay
#include "pbt/resize.h" // --resize

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct launch {
  struct pbt_comm *comm;
  const struct pbt_run_options *options;
  char *file_text; // of the job file, the same on every rank
  size_t file_bytes;
  char *replay_text; // lines of settings, cut apart
  const char **replay_set;
  const char *const *set; // the command line's settings, after those of a replay
  int n_set;
  struct pbt_job *job;
  struct pbt_text effective;
  struct pbt_manifest manifest; // found: to go on from
  bool found;
  bool locked;
  struct pbt_resize resize; // --resize: what became of the members
  struct pbt_population population;
  bool shared;
};

static bool is_root(const struct launch *launch) {
  return pbt_comm_rank(launch->comm) == 0;
}

static pbt_status agree(struct launch *launch, pbt_status mine) {
  pbt_status status = pbt_comm_agree(launch->comm, mine);
  launch->shared = status != PBT_OK;
  return status;
}

/* ---- the job ---- */

static pbt_status parse(struct launch *launch, int ranks) {
  const struct pbt_job_source source = {.path = launch->options->job_path,
                                        .text = launch->file_text,
                                        .bytes = launch->file_bytes,
                                        .set = launch->set,
                                        .n_set = launch->n_set,
                                        .ranks = ranks};
  PBT_TRY(pbt_job_parse(&source, launch->job));
  pbt_text_free(&launch->effective);
  return pbt_job_effective(&source, launch->job, &launch->effective);
}

/* A replay is a set of settings in front of the command line's own. */
static pbt_status share_replay(struct launch *launch) {
  const struct pbt_run_options *options = launch->options;
  launch->set = options->set;
  launch->n_set = options->n_set;
  if (options->replay == NULL) {
    return PBT_OK;
  }
  struct pbt_text made = {0};
  size_t bytes = 0;
  pbt_status status = PBT_OK;
  if (is_root(launch)) {
    status = pbt_replay_settings(options->replay, options->replay_final, &made);
    launch->replay_text = made.data;
    bytes = made.length;
  }
  status = pbt_comm_share(launch->comm, status, &launch->replay_text, &bytes);
  launch->shared = status != PBT_OK;
  PBT_TRY(status);
  int n = 0;
  for (const char *c = launch->replay_text; *c != '\0'; c++) {
    n += *c == '\n';
  }
  PBT_TRY(PBT_NEW(n + 1 + options->n_set, &launch->replay_set));
  launch->n_set = 0;
  char *rest = NULL;
  for (char *line = strtok_r(launch->replay_text, "\n", &rest); line != NULL;
       line = strtok_r(NULL, "\n", &rest)) {
    launch->replay_set[launch->n_set++] = line;
  }
  for (int i = 0; i < options->n_set; i++) {
    launch->replay_set[launch->n_set++] = options->set[i];
  }
  launch->set = launch->replay_set;
  return PBT_OK;
}

static pbt_status share_job(struct launch *launch) {
  PBT_TRY(agree(launch, launch->options->refused));
  PBT_TRY(share_replay(launch));
  pbt_status status = PBT_NEW(1, &launch->job);
  const char *path = launch->options->job_path;
  if (status == PBT_OK && path != NULL && is_root(launch)) {
    status = pbt_file_read(path, PBT_JOB_LIMIT, &launch->file_text, &launch->file_bytes);
  }
  if (path != NULL) {
    status =
        pbt_comm_share(launch->comm, status, &launch->file_text, &launch->file_bytes);
    launch->shared = status != PBT_OK;
    PBT_TRY(status);
  }
  return agree(launch, parse(launch, pbt_comm_size(launch->comm)));
}

/* Each line as a remark of the job file that it follows. */
static void print_remarks(const char *lines) {
  for (const char *at = lines; at != NULL && *at != '\0';) {
    size_t length = strcspn(at, "\n");
    printf("%s# %.*s\n", at == lines ? "\n" : "", (int)length, at);
    at += length + (at[length] == '\n');
  }
}

static pbt_status print_check(struct launch *launch) {
  pbt_status status = PBT_OK;
  if (is_root(launch)) {
    const struct pbt_job *job = launch->job;
    const struct pbt_task_ops *ops = pbt_task_find(job->task.kind);
    size_t data = 0, member = 0;
    struct pbt_text about = {0};
    int size = pbt_comm_size(launch->comm);
    if (ops->data_probe != NULL) {
      status = ops->data_probe(job, &data);
    }
    if (status == PBT_OK && ops->measure != NULL) {
      status = ops->measure(job, &member, &about);
    }
    int64_t begin = 0, end = 0;
    pbt_block(job->population.size, size, 0, &begin, &end);
    if (status == PBT_OK) {
      fputs(launch->effective.data, stdout);
      printf(
          "\n# memory per rank, with %d rank%s: %.1f MB (%lld member%s of %.1f MB), and "
          "%.1f MB of data shared by the ranks of a node\n",
          size, size == 1 ? "" : "s", 1e-6 * (double)member * (double)(end - begin),
          (long long)(end - begin), end - begin == 1 ? "" : "s", 1e-6 * (double)member,
          1e-6 * (double)data);
      if (job->checkpoint.async) {
        printf("# and a second copy of what a member's checkpoint holds, of each member, "
               "while a thread writes it (checkpoint.async)\n");
      }
      print_remarks(about.data);
    }
    pbt_text_free(&about);
  }
  return agree(launch, status);
}

/* ---- the run folder, rank 0 ---- */

/* What a launch leaves that was killed before it had written its job: a lock, or what
 * was to become one (lock.HOST.PID), and temporary files. */
static bool is_leftover(const char *name) {
  size_t n = strlen(name);
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lock") == 0 ||
         strncmp(name, "lock.", 5) == 0 || (n > 4 && strcmp(name + n - 4, ".tmp") == 0);
}

static bool is_empty_folder(const char *path) {
  DIR *folder = opendir(path);
  if (folder == NULL) {
    return false;
  }
  bool empty = true;
  for (struct dirent *entry; empty && (entry = readdir(folder)) != NULL;) {
    empty = is_leftover(entry->d_name);
  }
  closedir(folder);
  return empty;
}

/* The population's size follows the number of ranks unless the job says it; a run that
 * goes on keeps the size it began with. */
static pbt_status keep_old_size(struct launch *launch, const char *path,
                                const char *old_text) {
  if (!launch->job->population.size_is_default) {
    return PBT_OK;
  }
  struct pbt_job *old = NULL;
  PBT_TRY(PBT_NEW(1, &old));
  const struct pbt_job_source source = {
      .path = path, .text = old_text, .bytes = strlen(old_text), .ranks = 1};
  pbt_status status = pbt_job_parse(&source, old);
  int64_t size = old->population.size;
  pbt_mem_free(old);
  PBT_TRY(status);
  if (size < pbt_comm_size(launch->comm)) {
    return pbt_fail(
        PBT_ERR_USAGE,
        "%s holds a population of %lld: start it on at most as many ranks, not %d",
        launch->job->output, (long long)size, pbt_comm_size(launch->comm));
  }
  return parse(launch, (int)size);
}

/* With --resize another size is meant: its line goes. */
static void accept_size(struct pbt_text *difference) {
  static const char key[] = "population.size:";
  char *line = difference->length > 0 ? strstr(difference->data, key) : NULL;
  if (line == NULL || (line > difference->data && line[-1] != '\n')) {
    return;
  }
  size_t n = strcspn(line, "\n") + 1;
  memmove(line, line + n, strlen(line + n) + 1);
  difference->length -= n;
}

static pbt_status same_job(struct launch *launch, const char *old_text) {
  struct pbt_text difference = {0};
  pbt_status status = pbt_job_difference(old_text, launch->effective.data, &difference);
  if (launch->options->resize) {
    accept_size(&difference);
  }
  if (status == PBT_OK && difference.length > 0) {
    const char *size = strstr(difference.data, "population.size:");
    for (char *c = difference.data; *c != '\0'; c++) {
      *c = *c == '\n' ? (c[1] == '\0' ? '\0' : ';') : *c;
    }
    status = pbt_fail(PBT_ERR_DATA,
                      "%s holds a run of another job (%s): give another --output, or "
                      "--resume never to move it aside%s",
                      launch->job->output, difference.data,
                      size == NULL ? "" : "; --resize changes the size");
  }
  pbt_text_free(&difference);
  return status;
}

/* A first checkpoint that was never finished is no loss: the run begins again.  But a run
 * whose checkpoints are all damaged is not ours to throw away. */
static pbt_status refuse_damage(const struct launch *launch, char *skipped) {
  char manifest[PBT_PATH_BYTES];
  PBT_TRY(pbt_path_join(manifest, launch->job->output, "checkpoints/000001/manifest"));
  if (launch->population.next_set <= 2 && !pbt_file_exists(manifest)) {
    return PBT_OK;
  }
  skipped[strcspn(skipped, "\n")] = '\0';
  return pbt_fail(
      PBT_ERR_DATA,
      "no checkpoint of %s is whole (%s): mend it, or --resume never to move the "
      "run aside and begin anew",
      launch->job->output, skipped);
}

static pbt_status find_checkpoint(struct launch *launch) {
  struct pbt_text skipped = {0};
  PBT_TRY(pbt_set_find(launch->job->output, &launch->manifest, &launch->found,
                       &launch->population.next_set, &skipped));
  pbt_status status = PBT_OK;
  if (skipped.length > 0 && launch->found) {
    for (char *line = strtok(skipped.data, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
      pbt_warn("%s", line);
    }
  } else if (skipped.length > 0) {
    status = refuse_damage(launch, skipped.data);
  }
  pbt_text_free(&skipped);
  return status;
}

static pbt_status look_at_old_run(struct launch *launch, const char *job_path) {
  char *old_text = NULL;
  size_t bytes = 0;
  pbt_status status = pbt_file_read(job_path, PBT_JOB_LIMIT, &old_text, &bytes);
  if (status == PBT_OK) {
    status = keep_old_size(launch, job_path, old_text);
  }
  if (status == PBT_OK) {
    status = same_job(launch, old_text);
  }
  if (status == PBT_OK) {
    status = find_checkpoint(launch);
  }
  pbt_mem_free(old_text);
  return status;
}

/* An old run in use must not be moved away under its writer. */
static pbt_status move_aside(const struct launch *launch) {
  const char *run = launch->job->output;
  char moved[PBT_PATH_BYTES];
  PBT_TRY(pbt_run_lock(run, launch->options->take_over));
  pbt_run_unlock(run);
  PBT_TRY(pbt_run_set_aside(run, moved));
  pbt_info("moved the old run to %s", moved);
  return PBT_OK;
}

static pbt_status prepare_folder(struct launch *launch) {
  const char *run = launch->job->output;
  char path[PBT_PATH_BYTES];
  PBT_TRY(pbt_path_join(path, run, "job.toml"));
  bool old = pbt_file_exists(path);
  if (!old && pbt_file_exists(run) && !is_empty_folder(run)) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s is not a run folder (it has no job.toml) and is not empty: give "
                    "another --output",
                    run);
  }
  if (old && launch->options->resume_never) {
    PBT_TRY(move_aside(launch));
    old = false;
  }
  PBT_TRY(pbt_file_make_folders(run));
  PBT_TRY(pbt_run_lock(run, launch->options->take_over));
  launch->locked = true;
  if (old) {
    PBT_TRY(look_at_old_run(launch, path));
  }
  return pbt_file_replace(path, launch->effective.data, launch->effective.length);
}

/* Rank 0 prepares; all learn the job (its size may follow the old run) and the manifest.
 */
static pbt_status open_folder(struct launch *launch) {
  pbt_status status = is_root(launch) ? prepare_folder(launch) : PBT_OK;
  PBT_TRY(agree(launch, status));
  int64_t known[3] = {launch->found, launch->job->population.size,
                      launch->population.next_set};
  PBT_TRY(pbt_comm_broadcast(launch->comm, known, sizeof known));
  launch->found = known[0] != 0;
  launch->population.next_set = known[2];
  if (known[1] != launch->job->population.size) {
    PBT_TRY(agree(launch, parse(launch, (int)known[1])));
  } else {
    PBT_TRY(agree(launch, PBT_OK));
  }
  return launch->found ? pbt_manifest_share(launch->comm, PBT_OK, &launch->manifest)
                       : PBT_OK;
}

/* ---- lineage and live log, rank 0 ---- */

static void describe_start(const struct launch *launch, struct pbt_lineage_start *start) {
  const struct pbt_population *population = &launch->population;
  const char *job_id = getenv("SLURM_JOB_ID");
  const char *device = population->task_ops->describe == NULL
                           ? ""
                           : population->task_ops->describe(population->member[0].task);
  *start = (struct pbt_lineage_start){.ranks = pbt_comm_size(launch->comm),
                                      .generation = population->generation};
  pbt_time_text(start->time, sizeof start->time);
  snprintf(start->host, sizeof start->host, "%s", pbt_comm_host(launch->comm));
  snprintf(start->job_id, sizeof start->job_id, "%s", job_id == NULL ? "" : job_id);
  snprintf(start->git_id, sizeof start->git_id, "%s", launch->options->git_id);
  snprintf(start->device, sizeof start->device, "%s", device);
}

static pbt_status open_record(struct launch *launch) {
  struct pbt_population *population = &launch->population;
  const struct pbt_job *job = launch->job;
  const struct pbt_lineage_info info = {.n_member = population->n,
                                        .n_generation = job->budget.generations,
                                        .n_hparam = job->search.n,
                                        .hparam = job->search.hparam,
                                        .job_text = launch->effective.data,
                                        .job_name = job->name,
                                        .metric = pbt_metric_name(job->task.metric),
                                        .maximize = job->task.sense == PBT_MAXIMIZE,
                                        .seed = job->seed,
                                        .version = launch->options->git_id};
  struct pbt_lineage_start start;
  describe_start(launch, &start);
  char path[PBT_PATH_BYTES];
  PBT_TRY(pbt_path_join(path, population->run, "lineage.h5"));
  int64_t keep = population->generation;
  if (keep > 0) {
    PBT_TRY(pbt_lineage_resume(path, &info, &start, keep, launch->resize.row,
                               &population->lineage));
  } else {
    PBT_TRY(pbt_file_remove(path)); // of a start that never reached a checkpoint
    PBT_TRY(pbt_lineage_create(path, &info, &start, &population->lineage));
  }
  return pbt_progress_open(population->run, keep, &population->progress);
}

static pbt_status open_population(struct launch *launch) {
  struct pbt_population *population = &launch->population;
  pbt_status status =
      pbt_population_open(population, launch->comm, launch->job, launch->effective.data);
  launch->shared = population->shared;
  PBT_TRY(status);
  if (launch->found) {
    status = pbt_checkpoint_restore(population, &launch->manifest,
                                    launch->options->resize ? &launch->resize : NULL);
    launch->shared = population->shared;
    PBT_TRY(status);
  }
  return PBT_OK;
}

static pbt_status train(struct launch *launch) {
  struct pbt_population *population = &launch->population;
  char text[128] = "";
  char stop_file[PBT_PATH_BYTES];
  PBT_TRY(agree(launch, is_root(launch) ? open_record(launch) : PBT_OK));
  PBT_TRY(pbt_path_join(stop_file, population->run, "STOP"));
  pbt_stop_set_file(stop_file);
  if (launch->found) {
    snprintf(text, sizeof text, "\nresumed from checkpoint %lld, generation %lld",
             (long long)launch->manifest.set, (long long)population->generation);
    if (launch->resize.after > 0) {
      size_t n = strlen(text);
      snprintf(text + n, sizeof text - n, "; %lld members before",
               (long long)launch->resize.before);
    }
  }
  pbt_checkpoint_last_words(population, launch->manifest.set,
                            launch->manifest.generation);
  pbt_display_start(population, text);
  population->shared = false;
  pbt_status status = pbt_population_run(population);
  launch->shared = population->shared;
  pbt_status closed = pbt_lineage_close(population->lineage);
  population->lineage = NULL;
  return status != PBT_OK ? status : closed;
}

/* threads = "auto" */
static pbt_status settle_threads(struct launch *launch) {
  if (launch->job->threads == 0) {
    PBT_TRY(pbt_comm_processors(launch->comm, &launch->job->threads));
    pbt_info("threads = auto: %d for each rank", launch->job->threads);
  }
  return PBT_OK;
}

static pbt_status work(struct launch *launch) {
  PBT_TRY(share_job(launch));
  if (launch->options->check) {
    return print_check(launch);
  }
  PBT_TRY(open_folder(launch));
  PBT_TRY(settle_threads(launch));
  PBT_TRY(open_population(launch));
  struct pbt_population *population = &launch->population;
  if (launch->found && launch->manifest.finished &&
      population->generation >= population->generations) {
    if (is_root(launch)) {
      printf("%s is finished; its result:\n", population->run);
    }
  } else {
    PBT_TRY(train(launch));
  }
  return agree(launch, pbt_display_result(population));
}

pbt_status pbt_run(struct pbt_comm *comm, const struct pbt_run_options *options,
                   bool *shared) {
  struct launch *launch = NULL;
  *shared = false;
  PBT_TRY(PBT_NEW(1, &launch));
  launch->comm = comm;
  launch->options = options;
  launch->population.next_set = 1;
  launch->population.command = options->command;
  pbt_status status = work(launch);
  *shared = launch->shared || status == PBT_OK;
  if (*shared) { // whatever is to be said has been; the launcher may still send a TERM
    pbt_stop_set_last_words(NULL);
  }
  if (launch->locked) {
    pbt_run_unlock(launch->job->output);
  }
  pbt_population_close(&launch->population);
  pbt_resize_close(&launch->resize);
  pbt_manifest_free(&launch->manifest);
  pbt_text_free(&launch->effective);
  pbt_mem_free(launch->job);
  pbt_mem_free((void *)launch->replay_set);
  pbt_mem_free(launch->replay_text);
  pbt_mem_free(launch->file_text);
  pbt_mem_free(launch);
  return status;
}
