/*
 * make_lineage.c - writes a run folder with a made-up lineage, by the real writer.
 *
 *   make_lineage RUN MEMBERS GENERATIONS SEED [pbt | wild] [SECONDS]
 *
 * `pbt`: truncation at every ready step on a toy whose optimum moves, as a run leaves it.
 * `wild`: any parent for anybody, chains and swaps included, restarts, NaN and infinite
 * scores, all four kinds of hyperparameters.  With SECONDS each generation takes so long
 * and the file is left open, for tests that look at it as it grows.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/rng.h"
#include "job/job.h"
#include "record/lineage.h"
#include "record/run_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HPARAMS = 4 };
#define SPAN(l, h, sl, sh) .low = (l), .high = (h), .start_low = (sl), .start_high = (sh)
static const struct pbt_hparam hparam[HPARAMS] = {
    {.name = "lr", .kind = PBT_LOG, SPAN(1e-4, 0.5, 1e-3, 0.1)},
    {.name = "momentum", .kind = PBT_REAL, SPAN(0.5, 0.98, 0.5, 0.98)},
    {.name = "layers", .kind = PBT_INT, SPAN(1, 9, 2, 4)},
    {.name = "batch_size",
     .kind = PBT_CHOICE,
     SPAN(0, 2, 0, 2),
     .n_option = 3,
     .option = {32, 64, 128}},
};

struct world {
  int64_t n_member, n_generation;
  uint64_t seed;
  bool wild;
  double pause;
  struct pbt_lineage_row *row;
  double *level, *passed; // [n_member]
  int32_t *order;
  double best;
  int32_t best_member, best_generation;
};

static struct pbt_rng stream(const struct world *w, int64_t g, int64_t m) {
  return pbt_rng_open(w->seed, (uint32_t)m, PBT_RNG_TEST, (uint64_t)g);
}

static void score(struct world *w, int64_t g) {
  for (int64_t m = 0; m < w->n_member; m++) {
    struct pbt_lineage_row *row = &w->row[m];
    struct pbt_rng rng = stream(w, 2 * g, m);
    double aim = 0.05 * pow(0.02, (double)g / (double)w->n_generation);
    double miss = log(row->value[0] / aim) + 2.0 * (row->value[1] - 0.9);
    w->level[m] += 0.08 * exp(-miss * miss) * (1.0 - w->level[m]);
    double fitness = w->level[m] + 0.01 * pbt_rng_normal(&rng);
    uint32_t odd = w->wild ? pbt_rng_below(&rng, 25) : 25;
    row->fitness = odd == 0 ? NAN : odd == 1 ? INFINITY : fitness;
    row->validation_accuracy = row->fitness;
    row->validation_loss = 2.0 * (1.0 - fitness);
    row->validation_macro_f1 = fitness - 0.01;
    row->training_loss = 1.9 * (1.0 - fitness);
    row->steps = 20 * (g + 1);
    row->digest_before = pbt_rng_u64(&rng);
    for (int p = 0; p < PBT_PHASES; p++) {
      row->seconds[p] = 0.1 * (PBT_PHASES - p) * pbt_rng_uniform(&rng);
    }
    if (isfinite(row->fitness) && (w->best_member < 0 || row->fitness > w->best)) {
      w->best = row->fitness;
      w->best_member = (int32_t)m;
      w->best_generation = (int32_t)g;
    }
  }
}

static void move_values(struct world *w, int64_t m, struct pbt_rng *rng) {
  struct pbt_lineage_row *row = &w->row[m];
  for (int i = 0; i < HPARAMS; i++) {
    bool draw = pbt_rng_below(rng, 10) == 0;
    double factor = pbt_rng_below(rng, 2) ? 1.25 : 0.8;
    row->next[i] = draw ? pbt_hparam_draw(&hparam[i], rng)
                        : pbt_hparam_perturb(&hparam[i], row->next[i], factor, PBT_CLIP);
    row->move[i] = draw ? PBT_MOVE_RESAMPLED : PBT_MOVE_PERTURBED;
  }
}

/* The worse a quarter copies the better one. */
static void order_members(struct world *w) {
  for (int64_t m = 0; m < w->n_member; m++) {
    int64_t at = m;
    for (; at > 0 && w->row[w->order[at - 1]].fitness < w->row[m].fitness; at--) {
      w->order[at] = w->order[at - 1];
    }
    w->order[at] = (int32_t)m;
  }
}

static int32_t exchange(struct world *w, int64_t g) {
  int64_t n = w->n_member, share = n / 4 > 0 ? n / 4 : n / 2;
  int32_t copies = 0;
  bool last = g + 1 == w->n_generation && !w->wild;
  for (int64_t m = 0; m < n; m++) {
    struct pbt_lineage_row *row = &w->row[m];
    row->parent = (int32_t)m;
    row->event = PBT_KEPT;
    row->digest_after = row->digest_before;
    memcpy(row->next, row->value, sizeof row->next);
    memset(row->move, PBT_MOVE_NONE, sizeof row->move);
    w->passed[m] = w->level[m];
  }
  if (!w->wild && !last) {
    order_members(w);
  }
  for (int64_t i = 0; i < n && !last; i++) {
    struct pbt_rng rng = stream(w, 2 * g + 1, i);
    int64_t m = w->wild ? i : w->order[i];
    struct pbt_lineage_row *row = &w->row[m];
    if (w->wild) {
      uint32_t what = pbt_rng_below(&rng, 10);
      if (what < 4) {
        row->parent = (int32_t)pbt_rng_below(&rng, (uint32_t)n);
        row->event = row->parent != m ? PBT_COPIED : PBT_KEPT;
      } else if (what == 4) {
        row->parent = -1;
        row->event = PBT_RESTARTED;
      }
    } else if (i >= n - share) {
      row->parent = w->order[pbt_rng_below(&rng, (uint32_t)share)];
      row->event = PBT_COPIED;
    }
    if (row->parent == m) {
      continue;
    }
    if (row->parent >= 0) {
      memcpy(row->next, w->row[row->parent].value, sizeof row->next);
      row->digest_after = w->row[row->parent].digest_before;
      w->level[m] = w->passed[row->parent];
      copies++;
    } else {
      w->level[m] = 0.0;
    }
    move_values(w, m, &rng);
  }
  return copies;
}

static pbt_status append(struct world *w, struct pbt_lineage *lineage,
                         struct pbt_progress *progress, int64_t g) {
  char line[512];
  score(w, g);
  struct pbt_lineage_commit commit = {.generation = g,
                                      .unix_time = 1.8e9 + 3.0 * (double)(g + 1),
                                      .best_member = w->best_member,
                                      .best_generation = w->best_generation,
                                      .best_fitness = w->best_member < 0 ? NAN : w->best};
  commit.copies = exchange(w, g);
  PBT_TRY(pbt_lineage_append(lineage, w->row, &commit));
  for (int64_t m = 0; m < w->n_member; m++) {
    memcpy(w->row[m].value, w->row[m].next, sizeof w->row[m].value);
  }
  snprintf(
      line, sizeof line,
      "{\"generation\": %lld, \"time\": \"2027-01-15T08:00:00Z\", \"steps\": %lld, "
      "\"best\": %.17g, \"median\": null, \"worst\": null, \"copies\": %d, "
      "\"diverged\": 0, \"restarted\": 0, \"seconds\": 3.0, "
      "\"samples_per_second\": 1000.0, \"best_member\": %d, \"best_generation\": %d, "
      "\"best_fitness\": %.17g}",
      (long long)g, 20 * (long long)(g + 1), w->best, commit.copies, w->best_member,
      w->best_generation, w->best);
  return pbt_progress_append(progress, line);
}

/* The built-in job, of this length, as text. */
static pbt_status job_text(const struct world *w, struct pbt_text *text) {
  char size[64], length[64];
  struct pbt_job job;
  snprintf(size, sizeof size, "population.size=%lld", (long long)w->n_member);
  snprintf(length, sizeof length, "budget.generations=%lld",
           w->n_generation > 0 ? (long long)w->n_generation : 1LL);
  const char *const set[] = {size, length};
  const struct pbt_job_source source = {.set = set, .n_set = 2, .ranks = 1};
  PBT_TRY(pbt_job_parse(&source, &job));
  return pbt_job_effective(&source, &job, text);
}

static pbt_status write_run(struct world *w, const char *run) {
  char path[PBT_PATH_BYTES];
  struct pbt_text job = {0};
  struct pbt_lineage *lineage;
  struct pbt_progress *progress;
  PBT_TRY(job_text(w, &job));
  const struct pbt_lineage_info info = {.n_member = w->n_member,
                                        .n_hparam = HPARAMS,
                                        .hparam = hparam,
                                        .job_text = job.data,
                                        .job_name = w->wild ? "wild" : "toy <&>\"'",
                                        .metric = "accuracy",
                                        .maximize = true,
                                        .seed = w->seed,
                                        .version = "0.1.0"};
  const struct pbt_lineage_start start = {.time = "2027-01-15T08:00:00Z",
                                          .host = "node1",
                                          .git_id = "abc",
                                          .device = "cpu avx2",
                                          .ranks = 1};
  PBT_TRY(pbt_file_make_folders(run));
  PBT_TRY(pbt_path_join(path, run, "lineage.h5"));
  PBT_TRY(pbt_file_remove(path));
  PBT_TRY(pbt_run_lock(run, true));
  PBT_TRY(pbt_lineage_create(path, &info, &start, &lineage));
  PBT_TRY(pbt_progress_open(run, 0, &progress));
  for (int64_t m = 0; m < w->n_member; m++) {
    struct pbt_rng rng = stream(w, INT32_MAX, m);
    for (int i = 0; i < HPARAMS; i++) {
      w->row[m].value[i] = pbt_hparam_draw(&hparam[i], &rng);
    }
  }
  for (int64_t g = 0; g < w->n_generation; g++) {
    PBT_TRY(append(w, lineage, progress, g));
    if (w->pause > 0.0) {
      usleep((useconds_t)(1e6 * w->pause));
    }
  }
  pbt_progress_close(progress);
  pbt_text_free(&job);
  PBT_TRY(pbt_lineage_close(lineage));
  pbt_run_unlock(run);
  return PBT_OK;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr,
            "usage: make_lineage RUN MEMBERS GENERATIONS SEED [pbt|wild] [SECONDS]\n");
    return 64;
  }
  struct world w = {.n_member = atoll(argv[2]),
                    .n_generation = atoll(argv[3]),
                    .seed = strtoull(argv[4], NULL, 10),
                    .wild = argc > 5 && strcmp(argv[5], "wild") == 0,
                    .pause = argc > 6 ? atof(argv[6]) : 0.0,
                    .best_member = -1,
                    .best_generation = -1};
  pbt_status status = PBT_NEW(w.n_member, &w.row);
  status = status == PBT_OK ? PBT_NEW(w.n_member, &w.level) : status;
  status = status == PBT_OK ? PBT_NEW(w.n_member, &w.passed) : status;
  status = status == PBT_OK ? PBT_NEW(w.n_member, &w.order) : status;
  status = status == PBT_OK ? write_run(&w, argv[1]) : status;
  if (status != PBT_OK) {
    pbt_print_error(pbt_error());
  }
  pbt_mem_free(w.row);
  pbt_mem_free(w.level);
  pbt_mem_free(w.passed);
  pbt_mem_free(w.order);
  return (int)status;
}
