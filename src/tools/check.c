/*
 * check.c - is everything in a run folder what it should be, and what is left if not?
 *
 * Each file is read whole and against what the others say of it; a line each.  What a
 * kill leaves behind (a set without a manifest, a lineage that was not closed, half a
 * line of the log) is named, but it is no damage: the next launch sees to it.
 */
#include "base/clock.h"            // when it was repaired
#include "base/memory.h"           // counted text
#include "job/job.h"               // job.toml
#include "record/checkpoint_set.h" // manifests and digests
#include "record/lineage.h"        // every row
#include "record/run_folder.h"     // who holds it
#include "record/tensor_file.h"    // best.h5
#include "tools/commands.h"
#include "tools/history.h" // patience
#include "tools/option.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST = 1 << 30, NAME_WIDTH = 20 };

struct check {
  const char *run;
  int damaged;
  bool unreadable;       // a file could not be read at all: 74
  int64_t rows, columns; // of the lineage, readable from the start; rows -1: unreadable
  int64_t rows_before;   // of lineage.h5.prev, likewise
  double fitness;        // that the lineage has for the best model
  int32_t best_member, best_generation;
  int64_t set, generation, members; // the newest whole set; set 0: none
  bool finished;
};

static void say(const char *name, const char *what) {
  printf("%-*s %s\n", NAME_WIDTH, name, what);
}

static void fine(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void fine(const char *name, const char *format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  say(name, text);
}

/* Takes the recorded message. */
static void damaged(struct check *it, const char *name, pbt_status status) {
  char text[PBT_ERROR_BYTES + 16];
  snprintf(text, sizeof text, "DAMAGED: %s", pbt_error());
  pbt_error_clear();
  say(name, text);
  it->damaged++;
  it->unreadable = it->unreadable || status == PBT_ERR_IO;
}

/* ---- job.toml ---- */

static pbt_status look_at_job(const struct check *it) {
  char path[PBT_PATH_BYTES], *text = NULL;
  size_t bytes = 0;
  struct pbt_job *job = NULL;
  PBT_TRY(pbt_path_join(path, it->run, "job.toml"));
  PBT_TRY(pbt_file_read(path, PBT_JOB_LIMIT, &text, &bytes));
  pbt_status status = PBT_NEW(1, &job);
  if (status == PBT_OK) {
    const struct pbt_job_source source = {
        .path = path, .text = text, .bytes = bytes, .ranks = 1};
    status = pbt_job_parse(&source, job);
  }
  if (status == PBT_OK) {
    fine("job.toml", "fine: job %s, %lld members", job->name,
         (long long)job->population.size);
  }
  pbt_mem_free(job);
  pbt_mem_free(text);
  return status;
}

/* ---- the lineage ---- */

/* How many generations can be read from the first on; what is wrong with the next. */
static int64_t readable(struct pbt_lineage_reader *reader,
                        const struct pbt_lineage_shape *shape, struct check *it) {
  struct pbt_lineage_row *row = NULL;
  struct pbt_lineage_commit commit = {.best_member = -1};
  if (PBT_NEW(shape->n_member, &row) != PBT_OK) {
    return 0;
  }
  int64_t g = 0;
  double best = 0.0;
  for (; g < shape->n_generation; g++) {
    history_patience(true);
    if (pbt_lineage_read(reader, g, row, &commit) != PBT_OK) {
      break;
    }
  }
  if (it != NULL && g > 0 && g == shape->n_generation && commit.best_member >= 0 &&
      commit.best_generation < g && commit.best_member < shape->n_member) {
    it->best_member = commit.best_member;
    it->best_generation = commit.best_generation;
    if (pbt_lineage_read(reader, commit.best_generation, row, &commit) == PBT_OK) {
      best = row[it->best_member].fitness;
    }
    it->fitness = best;
  }
  history_patience(false);
  pbt_mem_free(row);
  return g;
}

static pbt_status look_at_lineage(struct check *it, const char *name, bool is_main,
                                  int64_t *rows) {
  char path[PBT_PATH_BYTES];
  struct pbt_lineage_reader *reader = NULL;
  struct pbt_lineage_shape shape;
  *rows = -1;
  PBT_TRY(pbt_path_join(path, it->run, name));
  history_patience(true);
  pbt_status status = pbt_lineage_open(path, &reader, &shape);
  history_patience(false);
  PBT_TRY(status);
  *rows = readable(reader, &shape, is_main ? it : NULL);
  if (is_main) {
    it->columns = shape.n_member;
  }
  if (*rows == shape.n_generation) {
    fine(name, "fine: %lld generations of %lld members", (long long)*rows,
         (long long)shape.n_member);
  } else {
    pbt_context(PBT_ERR_DATA, "after %lld of %lld generations", (long long)*rows,
                (long long)shape.n_generation);
    status = PBT_ERR_DATA;
  }
  pbt_lineage_reader_close(reader);
  return status;
}

/* ---- checkpoints ---- */

static void look_at_set(struct check *it, int64_t number) {
  char name[64];
  struct pbt_manifest manifest;
  snprintf(name, sizeof name, "checkpoints/%06" PRId64, number);
  pbt_status status = pbt_set_check(it->run, number, &manifest);
  if (status == PBT_ERR_MISSING) {
    say(name, "no set: it was never finished, and the next launch removes it");
    pbt_error_clear();
    return;
  }
  if (status != PBT_OK) {
    damaged(it, name, status);
    return;
  }
  fine(name, "whole: %zu files, after %" PRId64 " generations of %" PRId64 " members%s",
       manifest.n_file, manifest.generation, manifest.n_member,
       manifest.finished ? ", finished" : "");
  if (it->set == 0) {
    it->set = number;
    it->generation = manifest.generation;
    it->members = manifest.n_member;
    it->finished = manifest.finished;
  }
  pbt_manifest_free(&manifest);
}

static pbt_status look_at_sets(struct check *it) {
  int64_t *number = NULL;
  size_t n = 0;
  PBT_TRY(pbt_set_list(it->run, &number, &n));
  for (size_t i = 0; i < n; i++) {
    look_at_set(it, number[i]);
  }
  pbt_mem_free(number);
  return PBT_OK;
}

/* ---- best.h5 and progress.jsonl ---- */

static pbt_status look_at_best(const struct check *it) {
  char path[PBT_PATH_BYTES], *bytes = NULL;
  size_t n = 0;
  struct pbt_tensor_file *file = NULL;
  int64_t member = -1, generation = -1;
  double fitness = 0.0;
  pbt_status status;
  PBT_TRY(pbt_path_join(path, it->run, "best.h5"));
  PBT_TRY(pbt_file_read(path, LARGEST, &bytes, &n));
  PBT_TRY_TO(done, status, pbt_tensor_file_open(path, bytes, n, &file));
  PBT_TRY_TO(done, status, pbt_tensor_file_integer(file, "member", &member));
  PBT_TRY_TO(done, status, pbt_tensor_file_integer(file, "generation", &generation));
  PBT_TRY_TO(done, status, pbt_tensor_file_real(file, "fitness", &fitness));
  if (it->rows > 0 && generation < it->rows && generation == it->best_generation &&
      (member != it->best_member || fitness != it->fitness)) {
    status = pbt_fail(PBT_ERR_DATA,
                      "it says member %lld, fitness %.17g; the lineage of that "
                      "generation says member %d, %.17g",
                      (long long)member, fitness, it->best_member, it->fitness);
    goto done;
  }
  fine("best.h5", "fine: member %lld of generation %lld, fitness %g", (long long)member,
       (long long)generation, fitness);
done:
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  return status;
}

/* Whole lines that count up from 0; what follows the last newline was cut by a kill. */
static pbt_status look_at_progress(const struct check *it) {
  static const char key[] = "{\"generation\": ";
  char path[PBT_PATH_BYTES], *text = NULL;
  size_t bytes = 0;
  int64_t lines = 0;
  PBT_TRY(pbt_path_join(path, it->run, "progress.jsonl"));
  PBT_TRY(pbt_file_read(path, LARGEST, &text, &bytes));
  pbt_status status = PBT_OK;
  const char *at = text;
  for (const char *end; status == PBT_OK && (end = strchr(at, '\n')) != NULL;
       at = end + 1) {
    bool good = strncmp(at, key, sizeof key - 1) == 0 && end[-1] == '}' &&
                strtoll(at + sizeof key - 1, NULL, 10) == lines;
    if (!good) {
      status = pbt_fail(PBT_ERR_DATA, "line %lld is not of generation %lld",
                        (long long)lines + 1, (long long)lines);
    }
    lines++;
  }
  if (status == PBT_OK && at + strlen(at) != text + bytes) {
    status = pbt_fail(PBT_ERR_DATA, "it holds bytes that are no text");
  }
  if (status == PBT_OK) {
    fine("progress.jsonl", "fine: %lld lines%s", (long long)lines,
         *at == '\0' ? "" : ", and one that was cut short");
  }
  pbt_mem_free(text);
  return status;
}

/* ---- all of it ---- */

static void look(struct check *it, const char *name, pbt_status status, bool needed) {
  if (status == PBT_OK) {
    return;
  }
  if (status == PBT_ERR_MISSING && !needed) {
    pbt_error_clear();
    say(name, "not there");
    return;
  }
  damaged(it, name, status);
}

static void look_at_all(struct check *it) {
  char prev[PBT_PATH_BYTES];
  look(it, "job.toml", look_at_job(it), true);
  look(it, "lineage.h5", look_at_lineage(it, "lineage.h5", true, &it->rows), true);
  it->rows_before = -1;
  if (pbt_path_join(prev, it->run, "lineage.h5.prev") == PBT_OK &&
      pbt_file_exists(prev)) {
    look(it, "lineage.h5.prev",
         look_at_lineage(it, "lineage.h5.prev", false, &it->rows_before), false);
  }
  look(it, "progress.jsonl", look_at_progress(it), false);
  look(it, "best.h5", look_at_best(it), it->rows > 0 && it->best_member >= 0);
  look(it, "checkpoints", look_at_sets(it), false);
}

static void say_what_is_left(struct check *it) {
  char host[PBT_RUN_HOST];
  enum pbt_run_holder holder = pbt_run_held_by(it->run, host);
  if (holder != PBT_RUN_FREE) {
    fine("lock", "%s on %s",
         holder == PBT_RUN_HELD   ? "held by a process that runs"
         : holder == PBT_RUN_DEAD ? "of a process that was killed: the next launch "
                                    "takes it over"
                                  : "held by a process",
         host);
  }
  int64_t held = it->rows > it->rows_before ? it->rows : it->rows_before;
  if (it->set == 0) {
    printf("\nNo checkpoint is whole: nothing can be gone on from%s.\n",
           it->rows > 0 ? "; the lineage can still be read" : "");
    return;
  }
  if (held < it->generation) {
    pbt_fail(PBT_ERR_DATA,
             "checkpoint %06" PRId64 " follows %" PRId64
             " generations, of which the lineage holds %" PRId64,
             it->set, it->generation, held < 0 ? 0 : held);
    damaged(it, "lineage.h5", PBT_ERR_DATA);
    return;
  }
  printf("\nRecoverable: %" PRId64 " generations (checkpoint %06" PRId64 ")%s.\n",
         it->generation, it->set, it->finished ? ", finished" : "");
  printf("%s: mpirun -np %" PRId64 " pbt_mpi %s/job.toml --output %s\n",
         it->finished ? "To see the result again, or with a larger budget to go on"
                      : "To go on (on as many ranks, or fewer)",
         it->members, it->run, it->run);
}

/* ---- --repair ---- */

/* A copy through our own reader and writer: what can be read, in a file that is closed.
 * The original is only read. */
static pbt_status repair(const struct check *it, const char *from, int64_t rows,
                         const char *to) {
  char path[PBT_PATH_BYTES], before[PBT_PATH_BYTES], *bytes = NULL;
  size_t n = 0;
  struct pbt_lineage_reader *reader = NULL;
  struct pbt_lineage_shape shape;
  struct pbt_lineage *made = NULL;
  struct pbt_lineage_start start = {.device = "pbt_lineage check --repair",
                                    .generation = rows};
  pbt_status status;
  PBT_TRY(pbt_path_join(path, it->run, from));
  PBT_TRY(pbt_file_read(path, LARGEST, &bytes, &n));
  status = pbt_file_replace(to, bytes, n);
  pbt_mem_free(bytes);
  PBT_TRY(status);
  pbt_time_text(start.time, sizeof start.time);
  gethostname(start.host, sizeof start.host - 1);
  history_patience(true);
  PBT_TRY_TO(done, status, pbt_lineage_open(path, &reader, &shape));
  history_patience(false);
  PBT_TRY_TO(
      done, status,
      pbt_lineage_resume(to, pbt_lineage_reader_info(reader), &start, rows, NULL, &made));
  PBT_TRY_TO(done, status, pbt_lineage_close(made));
  snprintf(before, sizeof before, "%s.prev", to);
  status = pbt_file_remove(before);
done:
  pbt_lineage_reader_close(reader);
  if (status != PBT_OK) {
    unlink(to);
  }
  return status;
}

static pbt_status repair_best_of(const struct check *it, const char *to) {
  bool main_one = it->rows >= it->rows_before;
  int64_t rows = main_one ? it->rows : it->rows_before;
  if (pbt_file_exists(to)) {
    return pbt_fail(PBT_ERR_USAGE, "--repair: %s is there already", to);
  }
  if (rows < 0) {
    return pbt_fail(PBT_ERR_DATA, "--repair: no lineage of %s can be read", it->run);
  }
  PBT_TRY(repair(it, main_one ? "lineage.h5" : "lineage.h5.prev", rows, to));
  printf("Repaired: %s holds %" PRId64 " generations, from %s.\n", to, rows,
         main_one ? "lineage.h5" : "lineage.h5.prev");
  return PBT_OK;
}

pbt_status command_check(int n_word, char *word[]) {
  const char *to = NULL;
  struct check it = {.best_member = -1, .best_generation = -1};
  const struct option_spec spec[] = {{"--repair", NULL, &to}};
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("check", word, n_word, &it.run));
  if (!pbt_file_is_folder(it.run)) {
    return pbt_fail(PBT_ERR_MISSING, "%s is no run folder", it.run);
  }
  look_at_all(&it);
  say_what_is_left(&it);
  fflush(stdout);
  if (to != NULL) {
    PBT_TRY(repair_best_of(&it, to));
  }
  return it.damaged == 0 ? PBT_OK
                         : pbt_fail(it.unreadable ? PBT_ERR_IO : PBT_ERR_DATA,
                                    "%s: %d of its files %s damaged", it.run, it.damaged,
                                    it.damaged == 1 ? "is" : "are");
}
