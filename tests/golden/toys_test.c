/*
 * The toy tables, from two independent simulations that know nothing of this program, out
 * of the code that MPI drives: tasks, ranking, pbt_decide and the two job files, many
 * seeds in one process.  Medians must agree within 0.015 (0.02 where the spread is wide),
 * 5th percentiles within 0.03.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/population_world.h"

enum { SEEDS = 1000, PLAIN_SEEDS = 50, MOST_SET = 8 };

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* The p-th percentile, between neighbours as NumPy's default. */
static double percentile(double sorted[], int n, double p) {
  double at = p / 100.0 * (n - 1);
  int below = (int)at;
  return below + 1 < n
             ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below])
             : sorted[below];
}

static void study(const char *file, const char *const set[], int n_set, int n,
                  double result[]) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", PBT_JOBS, file);
  struct pbt_job job;
  world_job(path, set, n_set, &job);
  for (int s = 0; s < n; s++) {
    job.seed = (uint64_t)s + 1;
    result[s] = world_run(&job);
  }
  qsort(result, (size_t)n, sizeof *result, by_value);
}

struct fig2_row {
  const char *name, *set[3];
  double median[3], low[3]; // at ready 4, 10, 20; 5th percentile
  double tolerance;
  bool low_holds; // the last row's tail is so wide that two simulations differ by more
};

static const struct fig2_row fig2[] = {
    {"PBT", {NULL}, {1.190, 1.183, 1.178}, {1.13, 1.15, 1.16}, 0.015, true},
    {"exploit only",
     {"explore.kind=none"},
     {1.1715, 1.1715, 1.1715},
     {1.17, 1.17, 1.16},
     0.015,
     true},
    {"explore only",
     {"exploit.kind=none", "explore.who=all"},
     {1.157, 1.068, 0.939},
     {0.94, 0.75, 0.61},
     0.015,
     true},
    {"PBT, h copied too",
     {"exploit.copy=both"},
     {1.199, 1.160, 1.000},
     {1.19, 0.91, 0.61},
     0.02,
     false},
};

static void check_fig2(const struct fig2_row *row, int column) {
  static const char *const ready[] = {"ready.steps=4", "ready.steps=10",
                                      "ready.steps=20"};
  const char *set[MOST_SET] = {ready[column]};
  int n_set = 1;
  for (int i = 0; i < 3 && row->set[i] != NULL; i++) {
    set[n_set++] = row->set[i];
  }
  double q[SEEDS];
  study("toy-fig2.toml", set, n_set, SEEDS, q);
  double median = percentile(q, SEEDS, 50), low = percentile(q, SEEDS, 5);
  printf("%-18s %-15s median %.4f (%.4f)   5 %% %.3f (%.2f)\n", row->name, ready[column],
         median, row->median[column], low, row->low[column]);
  fflush(stdout);
  ck_assert_double_eq_tol(median, row->median[column], row->tolerance);
  if (row->low_holds) {
    ck_assert_double_eq_tol(low, row->low[column], 0.03);
  }
}

START_TEST(figure_2_comes_out) {
  double began = pbt_seconds();
  for (size_t i = 0; i < sizeof fig2 / sizeof *fig2; i++) {
    for (int column = 0; column < 3; column++) {
      check_fig2(&fig2[i], column);
    }
  }
  printf("figure 2: 12 cells of %d seeds in %.2f s\n", SEEDS, pbt_seconds() - began);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(the_grid_ends_where_it_must) {
  const char *const set[] = {"exploit.kind=none", "explore.kind=none"};
  double q[3];
  study("toy-fig2.toml", set, 2, 3, q);
  printf("grid %.7f\n", q[0]);
  ck_assert_double_eq_tol(q[0], 0.3897494, 1e-6);
  ck_assert_double_eq(q[0], q[2]);
}
END_TEST

/* Both members are bitwise equal at every ready step: without the coin nothing moves. */
START_TEST(a_tie_is_broken_by_a_fair_coin) {
  int first = 0;
  char path[512];
  snprintf(path, sizeof path, "%s/%s", PBT_JOBS, "toy-fig2.toml");
  struct pbt_job job;
  world_job(path, NULL, 0, &job);
  for (int s = 0; s < 2000; s++) {
    job.seed = (uint64_t)s;
    struct population_world world;
    world_open(&job, &world);
    world_train(&world);
    ck_assert(world.report[0].fitness == world.report[1].fitness);
    world_ok(world_decide(&world, 0));
    ck_assert_int_eq((world.plan[0].donor != 0) + (world.plan[1].donor != 1), 1);
    first += world.plan[0].donor == 0;
    world_close(&world);
  }
  ck_assert_int_gt(first, 1000 - 100);
  ck_assert_int_lt(first, 1000 + 100);
}
END_TEST

struct plain_row {
  const char *name, *set[3];
  int by_interval;  // the penalty is times t_step / 20
  double median[5]; // at t_step 5, 20, 50, 100, 200; NaN: not known
};

#define UNKNOWN (double)NAN
static const char *const plain_ready[] = {"ready.steps=5", "ready.steps=20",
                                          "ready.steps=50", "ready.steps=100",
                                          "ready.steps=200"};
static const struct plain_row plain[] = {
    {"plain, PBT", {"toy.surface=plain"}, 0, {1.1997, 1.1997, UNKNOWN, 1.1993, 1.1987}},
    {"plain, no PBT",
     {"toy.surface=plain", "exploit.kind=none", "explore.kind=none"},
     0,
     {1.1899, 1.1899, 1.1899, 1.1899, 1.1899}},
    {"deceptive, no PBT",
     {"exploit.kind=none", "explore.kind=none"},
     0,
     {0.864, 1.047, 1.133, 1.171, 1.182}},
    {"deceptive, PBT", {NULL}, 0, {0.554, 0.903, 1.181, 1.197, 1.198}},
    {"rescaled, no PBT",
     {"exploit.kind=none", "explore.kind=none"},
     1,
     {1.050, 1.047, 1.043, 1.034, 0.990}},
    {"rescaled, PBT", {NULL}, 1, {0.870, 0.903, 1.184, 1.181, 1.169}},
};

static void check_plain(const struct plain_row *row, int column) {
  static const char *const penalty[] = {"toy.penalty=0.05", "toy.penalty=0.2",
                                        "toy.penalty=0.5", "toy.penalty=1",
                                        "toy.penalty=2"};
  const char *set[MOST_SET] = {plain_ready[column]};
  int n_set = 1;
  for (int i = 0; i < 3 && row->set[i] != NULL; i++) {
    set[n_set++] = row->set[i];
  }
  if (row->by_interval) {
    set[n_set++] = penalty[column];
  }
  double q[PLAIN_SEEDS];
  study("toy-deceptive.toml", set, n_set, PLAIN_SEEDS, q);
  double median = percentile(q, PLAIN_SEEDS, 50);
  printf("%-18s %-15s median %.4f (%.4f)\n", row->name, plain_ready[column], median,
         row->median[column]);
  if (!isnan(row->median[column])) {
    ck_assert_double_eq_tol(median, row->median[column], 0.015);
  }
}

START_TEST(plain_and_deceptive_come_out) {
  double began = pbt_seconds();
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    for (int column = 0; column < 5; column++) {
      check_plain(&plain[i], column);
    }
  }
  printf("plain and deceptive: 30 cells of %d seeds in %.2f s\n", PLAIN_SEEDS,
         pbt_seconds() - began);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

/* One member whose h is given: the surfaces' known values. */
START_TEST(constant_and_linear_schedules_end_where_they_must) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", PBT_JOBS, "toy-deceptive.toml");
  static const struct {
    const char *surface;
    double from, to; // h in the first interval, and where the line ends
    double q;
  } list[] = {{"toy.surface=deceptive", 0, 0, 0.827},
              {"toy.surface=deceptive", 1, 1, 0.955},
              {"toy.surface=deceptive", 1, 0, 1.19793},
              {"toy.surface=plain", 0, 0, 1.19973},
              {"toy.surface=plain", 1, 1, 1.18522}};
  for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
    struct pbt_job job;
    world_job(path, &list[k].surface, 1, &job);
    const struct pbt_task_env env = {.job = &job};
    struct pbt_task *task = NULL;
    ck_ok(pbt_task_find(job.task.kind)->open(&env, &task));
    struct pbt_train_report trained;
    struct pbt_scores scores;
    for (int i = 0; i < 50; i++) {
      double h = list[k].from + (list[k].to - list[k].from) * i / 50.0;
      ck_ok(task->ops->set_hparams(task, &h));
      ck_ok(pbt_task_train(task, 13, &trained)); // slices do not matter
      ck_ok(pbt_task_train(task, 7, &trained));
    }
    ck_ok(pbt_task_evaluate(task, PBT_SPLIT_VALIDATION, (struct pbt_part){0}, &scores));
    ck_assert_double_eq_tol(scores.accuracy, list[k].q, list[k].q > 1 ? 5e-6 : 5e-4);
    task->ops->close(task);
  }
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

PBT_TEST_MAIN("toys", the_grid_ends_where_it_must, a_tie_is_broken_by_a_fair_coin,
              constant_and_linear_schedules_end_where_they_must, figure_2_comes_out,
              plain_and_deceptive_come_out)
