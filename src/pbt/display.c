#include "pbt/display.h"

#include "base/clock.h"  // bar rate
#include "base/memory.h" // schedule
#include "base/text.h"   // lines
#include "pbt/rank.h"    // pbt_better

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool here(const struct pbt_population *population) {
  return pbt_comm_rank(population->comm) == 0;
}

static void clear_bar(void) {
  if (isatty(STDERR_FILENO)) {
    fputs("\r\033[K", stderr);
  }
}

static void duration(double seconds, char text[16]) {
  int s = seconds > 0 && seconds < 3.5e6 ? (int)lround(seconds) : 0;
  snprintf(text, 16, "%d:%02d:%02d", s / 3600 % 1000, s / 60 % 60, s % 60);
}

/* What waiting for checkpoints has cost since the last line. */
static void cost(double seconds, char text[16]) {
  if (seconds <= 0.0) {
    snprintf(text, 16, "-");
  } else if (seconds < 1.0) {
    snprintf(text, 16, "%.1f ms", 1e3 * seconds);
  } else {
    snprintf(text, 16, "%.1f s", seconds < 1e6 ? seconds : 1e6);
  }
}

void pbt_display_start(const struct pbt_population *population, const char *resumed) {
  if (!here(population)) {
    return;
  }
  const struct pbt_job *job = population->job;
  const struct pbt_task *task = population->member[0].task;
  int ranks = pbt_comm_size(population->comm);
  const char *device =
      population->task_ops->describe == NULL ? "" : population->task_ops->describe(task);
  printf("pbt_mpi  job %s, seed %llu: %lld members on %d rank%s, %s\n", job->name,
         (unsigned long long)job->seed, (long long)population->n, ranks,
         ranks == 1 ? "" : "s", device);
  printf(
      "%lld generations of %lld steps, %d hyperparameter%s searched; run folder %s%s\n\n",
      (long long)population->generations, (long long)population->interval, job->search.n,
      job->search.n == 1 ? "" : "s", population->run, resumed);
  printf(
      " gen    steps      best    median  copied  samples/s    saving  time left   (%s "
      "on validation)\n",
      pbt_metric_name(job->task.metric));
  fflush(stdout);
}

void pbt_display_bar(const struct pbt_population *population, double done) {
  static double drawn; // clock of the last drawing
  double now = pbt_seconds();
  if (!here(population) || now - drawn < 0.1 || !isatty(STDERR_FILENO)) {
    return;
  }
  drawn = now;
  enum { WIDTH = 30 };
  char bar[WIDTH + 1];
  int filled = (int)(done * WIDTH);
  for (int i = 0; i < WIDTH; i++) {
    bar[i] = i < filled ? '#' : '.';
  }
  bar[WIDTH] = '\0';
  fprintf(stderr, "\r\033[K generation %lld of %lld [%s] %3.0f %%",
          (long long)population->generation + 1, (long long)population->generations, bar,
          100.0 * done);
  fflush(stderr);
}

struct summary {
  double best, median, worst, samples;
  int copies, diverged, restarted;
};

static struct summary summarise(const struct pbt_population *population) {
  struct summary s = {0};
  const struct pbt_report *report = population->report;
  const int32_t *order = population->order;
  int64_t n = 0; // awake; the others come last
  for (int64_t i = 0; i < population->n; i++) {
    n += report[i].asleep ? 0 : 1;
  }
  s.best = report[order[0]].fitness;
  s.worst = report[order[n - 1]].fitness;
  s.median = 0.5 * (report[order[(n - 1) / 2]].fitness + report[order[n / 2]].fitness);
  for (int64_t i = 0; i < population->n; i++) {
    s.samples += (double)report[i].n_sample;
    s.diverged += !isfinite(report[i].fitness) && !report[i].asleep;
    s.restarted += population->plan[i].event == PBT_RESTARTED;
    s.copies += population->plan[i].donor >= 0 && population->plan[i].donor != i;
  }
  return s;
}

void pbt_display_generation(const struct pbt_population *population, double seconds,
                            double seconds_left) {
  if (!here(population)) {
    return;
  }
  struct summary s = summarise(population);
  char left[16], saving[16], note[64] = "";
  duration(seconds_left, left);
  cost(population->checkpoint_seconds, saving);
  if (s.diverged > 0) {
    snprintf(note, sizeof note, "   %d diverged, %d restarted", s.diverged, s.restarted);
  }
  clear_bar();
  printf("%4lld %8lld  %8.4f  %8.4f  %6d  %9.0f  %8s  %9s%s\n",
         (long long)population->generation,
         (long long)population->report[population->order[0]].steps, s.best, s.median,
         s.copies, s.samples / seconds, saving, left, note);
  fflush(stdout);
}

static void add_number(struct pbt_text *line, const char *name, double value) {
  if (isfinite(value)) {
    pbt_text_add(line, ", \"%s\": %.17g", name, value);
  } else {
    pbt_text_add(line, ", \"%s\": null", name);
  }
}

void pbt_progress_line(const struct pbt_population *population, double seconds,
                       struct pbt_text *line) {
  struct summary s = summarise(population);
  char now[24];
  pbt_time_text(now, sizeof now);
  pbt_text_add(line, "{\"generation\": %lld, \"time\": \"%s\", \"steps\": %lld",
               (long long)population->generation, now,
               (long long)population->report[population->order[0]].steps);
  add_number(line, "best", s.best);
  add_number(line, "median", s.median);
  add_number(line, "worst", s.worst);
  pbt_text_add(line, ", \"copies\": %d, \"diverged\": %d, \"restarted\": %d", s.copies,
               s.diverged, s.restarted);
  add_number(line, "seconds", seconds);
  add_number(line, "samples_per_second", s.samples / seconds);
  add_number(line, "checkpoint_seconds", population->checkpoint_seconds);
  add_number(line, "checkpoint_write_seconds", population->write_seconds);
  pbt_text_add(line, ", \"best_member\": %lld, \"best_generation\": %lld",
               (long long)population->known.best_place[0],
               (long long)population->known.best_place[1]);
  add_number(line, "best_fitness", population->known.best[PBT_FITNESS]);
  pbt_text_add(line, "}");
}

/* ---- the result ---- */

/* The values in force on the way to the winner, from its own generation back through its
 * donors: value[g] for g = first .. last. */
struct schedule {
  int64_t first, last;
  double (*value)[PBT_MAX_HPARAM];
  struct pbt_lineage_shape shape;
};

static pbt_status walk_back(struct pbt_lineage_reader *reader, int32_t member,
                            struct schedule *schedule) {
  struct pbt_lineage_row *row = NULL;
  struct pbt_lineage_commit commit;
  PBT_TRY(PBT_NEW(schedule->shape.n_member, &row));
  pbt_status status = PBT_OK;
  for (int64_t g = schedule->last; g >= 0 && member >= 0; g--) {
    PBT_TRY_TO(done, status, pbt_lineage_read(reader, g, row, &commit));
    if (g < schedule->last) {
      member = row[member].parent; // whose weights the later one went on with
    }
    if (member >= 0) {
      memcpy(schedule->value[g], row[member].value, sizeof schedule->value[g]);
      schedule->first = g;
    }
  }
done:
  pbt_mem_free(row);
  return status;
}

static pbt_status read_schedule(const struct pbt_population *population,
                                struct schedule *schedule) {
  char path[PBT_PATH_BYTES];
  PBT_TRY(pbt_path_join(path, population->run, "lineage.h5"));
  struct pbt_lineage_reader *reader = NULL;
  PBT_TRY(pbt_lineage_open(path, &reader, &schedule->shape));
  schedule->last = population->known.best_place[1];
  pbt_status status = PBT_NEW(schedule->last + 1, &schedule->value);
  if (status == PBT_OK) {
    status = walk_back(reader, (int32_t)population->known.best_place[0], schedule);
  }
  pbt_lineage_reader_close(reader);
  return status;
}

static void print_schedule(const struct pbt_job *job, const struct schedule *schedule) {
  printf("\nSchedule that trained it, through its donors:\n generations");
  for (int32_t h = 0; h < job->search.n; h++) {
    printf("  %15s", job->search.hparam[h].name);
  }
  printf("\n");
  size_t row = (size_t)job->search.n * sizeof(double);
  int64_t from = schedule->first;
  for (int64_t g = schedule->first; g <= schedule->last; g++) {
    bool ends = g == schedule->last ||
                memcmp(schedule->value[g], schedule->value[g + 1], row) != 0;
    if (!ends) {
      continue;
    }
    printf(" %4lld - %4lld", (long long)from, (long long)g);
    for (int32_t h = 0; h < job->search.n; h++) {
      printf("  %15.6g",
             pbt_hparam_effective(&job->search.hparam[h], schedule->value[g][h]));
    }
    printf("\n");
    from = g + 1;
  }
}

static void print_winner(const struct pbt_population *population) {
  const struct pbt_known *known = &population->known;
  printf("\nWinner: member %lld in generation %lld\n", (long long)known->best_place[0],
         (long long)known->best_place[1]);
  if (population->task_ops->split_size == NULL) { // a toy: no samples, one score
    printf("  score %.6f\n", known->best[PBT_FITNESS]);
    return;
  }
  printf("  validation accuracy  %.4f   loss %.4f   macro-F1 %.4f\n",
         known->best[PBT_ACCURACY], known->best[PBT_LOSS], known->best[PBT_MACRO_F1]);
  printf("  test accuracy        %.4f   loss %.4f   macro-F1 %.4f   (%.0f images, scored "
         "once)\n",
         known->test[1], known->test[0], known->test[2], known->test[3]);
}

static void print_files(const char *run) {
  printf("\nFiles in %s:\n"
         "  best.h5         the winner's weights\n"
         "  lineage.h5      every member, every generation\n"
         "  progress.jsonl  one line a generation\n"
         "  job.toml        the job as it ran, defaults marked\n"
         "  checkpoints/    what a resumed run starts from\n",
         run);
  printf("\nNext:\n"
         "  pbt_lineage summary %s\n"
         "      what happened: scores by generation, copies, where the time went\n"
         "  pbt_lineage report %s\n"
         "      the same and more as one page to open in a browser\n"
         "  pbt_mpi --evaluate %s/best.h5\n"
         "      the winner's scores again\n",
         run, run, run);
}

pbt_status pbt_display_result(const struct pbt_population *population) {
  if (!here(population)) {
    return PBT_OK;
  }
  clear_bar();
  if (population->known.best_place[0] < 0) {
    printf("\nNo member ever had a finite score: there is no winner.\n");
    print_files(population->run);
    return PBT_OK;
  }
  print_winner(population);
  pbt_status status = PBT_OK;
  if (population->job->search.n > 0) {
    struct schedule schedule = {0};
    status = read_schedule(population, &schedule);
    if (status == PBT_OK) {
      print_schedule(population->job, &schedule);
    }
    pbt_mem_free(schedule.value);
  }
  print_files(population->run);
  fflush(stdout);
  return status;
}
