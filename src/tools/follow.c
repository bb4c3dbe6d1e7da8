/*
 * follow.c - a run as it goes on, a line a generation.
 *
 * RUN/progress.jsonl is what it reads: plain appended text, right on every file system.
 * A resumed run writes that file anew up to its checkpoint; lines are known by their
 * digest, so what is shown again is only what was computed again.  On a terminal a last
 * line with a curve, a bar and the time left stands below.
 */
#include "base/digest.h"
#include "base/memory.h"
#include "tools/commands.h"
#include "tools/history.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/run_state.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One generation, as the live log has it. */
struct glance {
  double generation, steps, best, median, copies, diverged, restarted, seconds,
      samples_per_second, best_member, best_generation, best_fitness;
};

static const struct {
  const char *key;
  size_t offset;
} field[] = {
#define FIELD(name)                                                                      \
  { "\"" #name "\": ", offsetof(struct glance, name) }
    FIELD(generation),  FIELD(steps),           FIELD(best),
    FIELD(median),      FIELD(copies),          FIELD(diverged),
    FIELD(restarted),   FIELD(seconds),         FIELD(samples_per_second),
    FIELD(best_member), FIELD(best_generation), FIELD(best_fitness),
#undef FIELD
};

struct view {
  struct history history; // shape, job and state; its rows as of the start
  char path[PBT_PATH_BYTES];
  FILE *file; // progress.jsonl, NULL until it is there
  ino_t inode;
  off_t at;       // first byte not yet taken
  uint64_t *seen; // [room]: digests of the lines shown
  int64_t room, n, planned;
  double *curve; // [room]: best of each generation
  double seconds;
  bool terminal, status_shown;
};

/* ---- a line ---- */

/* The lines are our own, so keys are looked up as they are spelled; false: not whole. */
static bool parse(const char *line, struct glance *glance) {
  size_t n = strlen(line);
  if (n < 2 || line[0] != '{' || line[n - 1] != '}') {
    return false;
  }
  for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
    const char *at = strstr(line, field[i].key);
    if (at == NULL) {
      return false;
    }
    at += strlen(field[i].key);
    double value = strncmp(at, "null", 4) == 0 ? (double)NAN : strtod(at, NULL);
    memcpy((char *)glance + field[i].offset, &value, sizeof value);
  }
  return glance->generation >= 0.0 && glance->generation < 1e9;
}

static void print_head(void) {
  printf("   gen     steps        best      median  copied  samples/s   best so far\n");
}

static void print_glance(const struct glance *glance) {
  char best[OUTPUT_SHORT], median[OUTPUT_SHORT], top[OUTPUT_SHORT];
  printf("%6.0f %9.0f  %10s  %10s  %6.0f  %9.0f   %s", glance->generation, glance->steps,
         output_short(glance->best, best), output_short(glance->median, median),
         glance->copies, glance->samples_per_second,
         output_short(glance->best_fitness, top));
  if (glance->best_member >= 0.0) {
    printf(" (member %.0f in %.0f)", glance->best_member, glance->best_generation);
  }
  if (glance->diverged + glance->restarted > 0.0) {
    printf("   %.0f diverged, %.0f restarted", glance->diverged, glance->restarted);
  }
  printf("\n");
}

/* ---- the line below, on a terminal ---- */

static void clear_status(struct view *it) {
  if (it->status_shown) {
    printf("\r\033[K");
    it->status_shown = false;
  }
}

/* The best by generation as blocks of eight heights. */
static void print_curve(const struct view *it) {
  enum { WIDTH = 24 };
  static const char *const block[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (int64_t g = 0; g < it->n; g++) {
    if (isfinite(it->curve[g])) {
      low = it->curve[g] < low ? it->curve[g] : low;
      high = it->curve[g] > high ? it->curve[g] : high;
    }
  }
  int64_t columns = it->n < WIDTH ? it->n : WIDTH;
  for (int64_t c = 0; c < columns; c++) {
    double value = it->curve[columns > 1 ? c * (it->n - 1) / (columns - 1) : 0];
    double share = high > low ? (value - low) / (high - low) : 1.0;
    printf("%s", isfinite(value) ? block[(int)(7.0 * share + 0.5)] : " ");
  }
}

static void print_status(struct view *it) {
  char left[OUTPUT_SHORT];
  if (!it->terminal || it->n == 0) {
    return;
  }
  print_curve(it);
  if (it->planned > 0) {
    double mean = it->seconds / (double)it->n;
    printf("  %lld of %lld, %s left", (long long)it->n, (long long)it->planned,
           output_seconds(mean * (double)(it->planned - it->n), left));
  }
  fflush(stdout);
  it->status_shown = true;
}

/* ---- reading ---- */

static pbt_status make_room(struct view *it, int64_t n) {
  if (n <= it->room) {
    return PBT_OK;
  }
  int64_t room = 2 * n + 64;
  uint64_t *seen;
  double *curve;
  PBT_TRY(PBT_NEW(room, &seen));
  pbt_status status = PBT_NEW(room, &curve);
  if (status != PBT_OK) {
    pbt_mem_free(seen);
    return status;
  }
  if (it->room > 0) {
    memcpy(seen, it->seen, (size_t)it->room * sizeof *seen);
    memcpy(curve, it->curve, (size_t)it->room * sizeof *curve);
  }
  pbt_mem_free(it->seen);
  pbt_mem_free(it->curve);
  it->seen = seen;
  it->curve = curve;
  it->room = room;
  return PBT_OK;
}

static pbt_status take_line(struct view *it, const char *line) {
  struct glance glance;
  if (!parse(line, &glance)) {
    return PBT_OK; // not ours: the lineage has it
  }
  int64_t g = (int64_t)glance.generation;
  uint64_t digest = pbt_digest(line, strlen(line));
  PBT_TRY(make_room(it, g + 1));
  if (it->seen[g] == digest) {
    return PBT_OK;
  }
  clear_status(it);
  if (g < it->n) {
    printf("resumed from generation %lld\n", (long long)g);
  }
  it->seen[g] = digest;
  it->curve[g] = glance.best;
  it->n = g + 1;
  it->seconds += isfinite(glance.seconds) ? glance.seconds : 0.0;
  print_glance(&glance);
  return PBT_OK;
}

/* Opens the log anew if it has become another file. */
static pbt_status open_log(struct view *it) {
  struct stat info;
  if (stat(it->path, &info) != 0) {
    return errno == ENOENT ? PBT_OK
                           : pbt_fail_errno(PBT_ERR_IO, "cannot open %s", it->path);
  }
  if (it->file != NULL && info.st_ino == it->inode && info.st_size >= it->at) {
    return PBT_OK;
  }
  if (it->file != NULL) {
    fclose(it->file);
  }
  it->file = fopen(it->path, "re");
  it->inode = info.st_ino;
  it->at = 0;
  return it->file != NULL ? PBT_OK
                          : pbt_fail_errno(PBT_ERR_IO, "cannot open %s", it->path);
}

/* All whole lines that have come since. */
static pbt_status take_lines(struct view *it) {
  PBT_TRY(open_log(it));
  if (it->file == NULL || fseeko(it->file, it->at, SEEK_SET) != 0) {
    return PBT_OK;
  }
  char *line = NULL;
  size_t room = 0;
  pbt_status status = PBT_OK;
  for (ssize_t n; status == PBT_OK && (n = getline(&line, &room, it->file)) > 0;) {
    if (line[n - 1] != '\n') {
      break; // still being written, or torn
    }
    it->at += n;
    line[n - 1] = '\0';
    status = take_line(it, line);
  }
  free(line);
  return status;
}

/* A bare lineage file, or a run without its log. */
static pbt_status show_history(const struct history *history) {
  double *scratch;
  PBT_TRY(PBT_NEW(history->n_member, &scratch));
  for (int64_t g = 0; g < history->n_generation; g++) {
    struct history_spread spread = history_spread(history, g, scratch);
    struct history_events events = history_events(history, g);
    const struct pbt_lineage_commit *commit = &history->commit[g];
    const struct glance glance = {.generation = (double)g,
                                  .steps =
                                      (double)history->steps[history_at(history, g, 0)],
                                  .best = spread.best,
                                  .median = spread.median,
                                  .copies = (double)events.copies,
                                  .diverged = (double)events.event[PBT_DIVERGED],
                                  .restarted = (double)events.event[PBT_RESTARTED],
                                  .samples_per_second = (double)NAN,
                                  .best_member = commit->best_member,
                                  .best_generation = commit->best_generation,
                                  .best_fitness = commit->best_fitness};
    print_glance(&glance);
  }
  pbt_mem_free(scratch);
  return PBT_OK;
}

/* ---- the command ---- */

static void nap(double seconds) {
  const struct timespec time = {(time_t)seconds,
                                (long)(1e9 * (seconds - floor(seconds)))};
  nanosleep(&time, NULL);
}

static bool has_ended(const struct run_state *state) {
  return state->holder == PBT_RUN_FREE || state->holder == PBT_RUN_DEAD;
}

static pbt_status watch(struct view *it, bool once, double interval) {
  struct run_state state;
  for (;;) {
    run_state_read(&it->history, &state); // before the lines, so that none is missed
    clear_status(it);
    PBT_TRY(take_lines(it));
    if (once || has_ended(&state)) {
      break;
    }
    print_status(it);
    if (fflush(stdout) != 0) {
      return pbt_fail_errno(PBT_ERR_IO, "cannot write to standard output");
    }
    nap(interval);
  }
  char text[256];
  printf("%s: %s after %lld", it->history.info->job_name, run_state_text(&state, text),
         (long long)it->n);
  if (it->planned > 0) {
    printf(" of %lld", (long long)it->planned);
  }
  printf(" generations\n");
  return PBT_OK;
}

pbt_status command_follow(int n_word, char *word[]) {
  bool once = false;
  const char *every = NULL, *run;
  double interval = 0.5;
  const struct option_spec spec[] = {{"--once", &once, NULL},
                                     {"--interval", NULL, &every}};
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("follow", word, n_word, &run));
  if (every != NULL) {
    PBT_TRY(option_real("--interval", every, &interval));
    if (interval < 0.01 || interval > 86400.0) {
      return pbt_fail(PBT_ERR_USAGE, "--interval %s: from 0.01 to 86400 seconds", every);
    }
  }
  struct view view = {.terminal = isatty(STDOUT_FILENO) == 1};
  PBT_TRY(history_load(run, &view.history));
  view.planned = history_planned(&view.history);
  pbt_status status = PBT_OK;
  if (view.history.is_folder) {
    status = pbt_path_join(view.path, view.history.run, "progress.jsonl");
  }
  print_head();
  if (status == PBT_OK && view.history.is_folder && pbt_file_exists(view.path)) {
    status = watch(&view, once, interval);
  } else if (status == PBT_OK) {
    status = show_history(&view.history);
  }
  if (status == PBT_OK && fflush(stdout) != 0) {
    status = pbt_fail_errno(PBT_ERR_IO, "cannot write to standard output");
  }
  if (view.file != NULL) {
    fclose(view.file);
  }
  pbt_mem_free(view.seen);
  pbt_mem_free(view.curve);
  history_free(&view.history);
  return status;
}
