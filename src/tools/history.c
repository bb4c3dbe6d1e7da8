#include "tools/history.h"

#include "base/memory.h" // arrays
#include "job/job.h"     // how long the run is to be

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Reading a generation takes milliseconds.  Where HDF5 loops over a file made with bad
 * intent, SIGALRM ends the program with a line of main's. */
enum { PATIENCE_SECONDS = 20 };

/* ---- finding ---- */

pbt_status history_find(const char *run, char path[PBT_PATH_BYTES], bool *is_folder) {
  struct stat info;
  *is_folder = pbt_file_is_folder(run);
  if (*is_folder) {
    PBT_TRY(pbt_path_join(path, run, "lineage.h5"));
    if (stat(path, &info) != 0) {
      return pbt_fail_errno(PBT_ERR_MISSING, "%s is no run folder: cannot open %s", run,
                            path);
    }
  } else {
    if (snprintf(path, PBT_PATH_BYTES, "%s", run) >= PBT_PATH_BYTES) {
      return pbt_fail(PBT_ERR_USAGE, "the path is too long: %s", run);
    }
    if (stat(path, &info) != 0) {
      return pbt_fail_errno(PBT_ERR_MISSING, "cannot open %s", path);
    }
  }
  return S_ISREG(info.st_mode)
             ? PBT_OK
             : pbt_fail(PBT_ERR_DATA, "%s is no lineage file: not even a file", path);
}

static void name_run(struct history *it, const char *run) {
  snprintf(it->run, sizeof it->run, "%s", run);
  for (size_t n = strlen(it->run); n > 1 && it->run[n - 1] == '/'; n--) {
    it->run[n - 1] = '\0';
  }
}

void history_patience(bool begin) {
  alarm(begin ? PATIENCE_SECONDS : 0);
}

/* ---- loading ---- */

static pbt_status make_arrays(struct history *it) {
  int64_t n = it->size + 1; // never zero bytes
  double **real[] = {&it->fitness, &it->loss, &it->accuracy, &it->macro_f1,
                     &it->training_loss};
  for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
    PBT_TRY(PBT_NEW(n, real[i]));
  }
  for (int p = 0; p < PBT_PHASES; p++) {
    PBT_TRY(PBT_NEW(n, &it->seconds[p]));
  }
  for (int32_t h = 0; h < it->n_hparam; h++) {
    PBT_TRY(PBT_NEW(n, &it->value[h]));
    PBT_TRY(PBT_NEW(n, &it->move[h]));
  }
  PBT_TRY(PBT_NEW(n, &it->steps));
  PBT_TRY(PBT_NEW(n, &it->parent));
  PBT_TRY(PBT_NEW(n, &it->event));
  PBT_TRY(PBT_NEW(it->n_generation + 1, &it->elapsed));
  return PBT_NEW(it->n_generation + 1, &it->commit);
}

static void take_row(struct history *it, int64_t at, const struct pbt_lineage_row *row) {
  it->fitness[at] = row->fitness;
  it->loss[at] = row->validation_loss;
  it->accuracy[at] = row->validation_accuracy;
  it->macro_f1[at] = row->validation_macro_f1;
  it->training_loss[at] = row->training_loss;
  it->steps[at] = row->steps;
  it->parent[at] = row->parent;
  it->event[at] = row->event;
  for (int p = 0; p < PBT_PHASES; p++) {
    it->seconds[p][at] = row->seconds[p];
  }
  for (int32_t h = 0; h < it->n_hparam; h++) {
    it->value[h][at] = row->value[h];
    it->move[h][at] = row->move[h];
  }
}

static pbt_status read_rows(struct history *it) {
  struct pbt_lineage_row *row;
  PBT_TRY(PBT_NEW(it->n_member, &row));
  pbt_status status = PBT_OK;
  for (int64_t g = 0; g < it->n_generation && status == PBT_OK; g++) {
    history_patience(true);
    status = pbt_lineage_read(it->reader, g, row, &it->commit[g]);
    for (int64_t m = 0; m < it->n_member && status == PBT_OK; m++) {
      take_row(it, history_at(it, g, m), &row[m]);
    }
  }
  pbt_mem_free(row);
  return status;
}

/* "2026-01-31T12:00:00Z" in seconds since 1970; -1 if it is nothing of the kind. */
static double parse_time(const char *text) {
  struct tm tm = {0};
  const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
  return end == NULL ? -1.0 : (double)timegm(&tm);
}

/* From commit to commit, and in a launch's first generation from the launch. */
static void measure_time(struct history *it) {
  double total = 0.0;
  for (int64_t g = 0; g < it->n_generation; g++) {
    double before = g > 0 ? it->commit[g - 1].unix_time : it->commit[g].unix_time;
    for (int64_t s = 0; s < it->n_start; s++) { // the last launch that wrote it
      if (it->start[s].generation == g && parse_time(it->start[s].time) > 0.0) {
        before = parse_time(it->start[s].time);
      }
    }
    double seconds = it->commit[g].unix_time - before;
    total += seconds > 0.0 ? seconds : 0.0;
    it->elapsed[g] = total;
  }
}

static pbt_status load(struct history *it) {
  history_patience(true);
  PBT_TRY(pbt_lineage_open(it->path, &it->reader, &it->shape));
  it->info = pbt_lineage_reader_info(it->reader);
  it->hparam = it->shape.hparam;
  it->n_generation = it->shape.n_generation;
  it->n_member = it->shape.n_member;
  it->n_hparam = it->shape.n_hparam;
  it->size = it->n_generation * it->n_member;
  PBT_TRY(pbt_lineage_read_starts(it->reader, &it->start, &it->n_start));
  PBT_TRY(make_arrays(it));
  PBT_TRY(read_rows(it));
  measure_time(it);
  return PBT_OK;
}

pbt_status history_load(const char *run, struct history *history) {
  *history = (struct history){0};
  PBT_TRY(history_find(run, history->path, &history->is_folder));
  name_run(history, run);
  pbt_status status = load(history);
  history_patience(false);
  if (status != PBT_OK) {
    history_free(history);
  }
  return status;
}

void history_free(struct history *it) {
  void *array[] = {it->fitness,       it->loss,  it->accuracy, it->macro_f1,
                   it->training_loss, it->steps, it->parent,   it->event,
                   it->elapsed,       it->start, it->commit};
  for (size_t i = 0; i < sizeof array / sizeof *array; i++) {
    pbt_mem_free(array[i]);
  }
  for (int p = 0; p < PBT_PHASES; p++) {
    pbt_mem_free(it->seconds[p]);
  }
  for (int32_t h = 0; h < PBT_MAX_HPARAM; h++) {
    pbt_mem_free(it->value[h]);
    pbt_mem_free(it->move[h]);
  }
  pbt_lineage_reader_close(it->reader);
  *it = (struct history){0};
}

/* ---- asking ---- */

bool history_better(const struct history *history, double a, double b) {
  if (!isfinite(a) || !isfinite(b)) {
    return isfinite(a) && !isfinite(b);
  }
  return history->info->maximize ? a > b : a < b;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

struct history_spread history_spread(const struct history *history, int64_t generation,
                                     double scratch[]) {
  int64_t n = 0;
  for (int64_t m = 0; m < history->n_member; m++) {
    double fitness = history->fitness[history_at(history, generation, m)];
    if (isfinite(fitness)) {
      scratch[n++] = fitness;
    }
  }
  if (n == 0) {
    return (struct history_spread){(double)NAN, (double)NAN, (double)NAN, 0};
  }
  qsort(scratch, (size_t)n, sizeof *scratch, ascending);
  double median = 0.5 * (scratch[(n - 1) / 2] + scratch[n / 2]);
  bool up = history->info->maximize;
  return (struct history_spread){up ? scratch[n - 1] : scratch[0], median,
                                 up ? scratch[0] : scratch[n - 1], n};
}

struct history_events history_events(const struct history *history, int64_t generation) {
  struct history_events events = {0};
  for (int64_t m = 0; m < history->n_member; m++) {
    int64_t at = history_at(history, generation, m);
    events.event[history->event[at]]++;
    events.copies += history->parent[at] >= 0 && history->parent[at] != m;
  }
  return events;
}

int64_t history_planned(const struct history *history) {
  struct pbt_job job;
  const struct pbt_job_source source = {.path = history->path,
                                        .text = history->info->job_text,
                                        .bytes = strlen(history->info->job_text),
                                        .ranks = 1};
  if (pbt_job_parse(&source, &job) != PBT_OK) {
    pbt_error_clear(); // of another version: its length is not worth an error
    return 0;
  }
  if (job.budget.generations > 0) {
    return job.budget.generations;
  }
  bool in_steps = job.budget.steps > 0 && job.ready.steps > 0;
  bool in_epochs = job.budget.epochs > 0.0 && job.ready.epochs > 0.0;
  if (in_steps) {
    return (job.budget.steps + job.ready.steps - 1) / job.ready.steps;
  }
  return in_epochs ? (int64_t)ceil(job.budget.epochs / job.ready.epochs - 1e-9) : 0;
}

double history_effective(const struct history *history, int32_t hparam, int64_t at) {
  return pbt_hparam_effective(&history->hparam[hparam], history->value[hparam][at]);
}
