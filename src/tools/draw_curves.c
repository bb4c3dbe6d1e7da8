/*
 * draw_curves.c - what happens along the generations: fitness, and each hyperparameter
 * coloured by the fitness it had.
 *
 * A run of a few members shows each of them.  With many, fitness becomes bands of
 * quantiles, and hyperparameters become a grid whose cells have the colour of their mean
 * fitness: as much as the eye would get from a million lines, in a small file.
 */
#include "base/memory.h"
#include "tools/output.h"
#include "tools/scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BANDS = 3, QUANTILES = 2 * BANDS + 1 };

/* ---- fitness ---- */

/* A line through the finite ones among n points; column(i) = at[i * stride]. */
static void polyline(const struct figure *figure, const double at[], int64_t n,
                     int64_t stride, struct pbt_text *d) {
  bool on = false;
  for (int64_t g = 0; g < n; g++) {
    double value = at[g * stride];
    if (!isfinite(value)) {
      on = false;
      continue;
    }
    figure_number(d, on ? 'L' : 'M', axis_at(&figure->x, (double)g),
                  axis_at(&figure->y, value));
    on = true;
  }
}

static void draw_members(const struct scene *scene, struct figure *figure) {
  const struct history *history = &scene->history;
  for (int64_t m = 0; m < history->n_member; m++) {
    struct pbt_text d = {0};
    polyline(figure, history->fitness + m, history->n_generation, history->n_member, &d);
    figure_path(figure, "member", &d);
    pbt_text_free(&d);
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* quantile[g * QUANTILES + q]: least, 10 %, 25 %, median, 75 %, 90 %, most. */
static pbt_status measure_quantiles(const struct history *history, double quantile[]) {
  static const double share[QUANTILES] = {0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0};
  double *sorted;
  PBT_TRY(PBT_NEW(history->n_member, &sorted));
  for (int64_t g = 0; g < history->n_generation; g++) {
    int64_t n = 0;
    for (int64_t m = 0; m < history->n_member; m++) {
      double fitness = history->fitness[history_at(history, g, m)];
      if (isfinite(fitness)) {
        sorted[n++] = fitness;
      }
    }
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    for (int q = 0; q < QUANTILES; q++) {
      double place = share[q] * (double)(n - 1);
      int64_t below = (int64_t)place, above = below + 1 < n ? below + 1 : below;
      quantile[g * QUANTILES + q] =
          n > 0
              ? sorted[below] + (place - (double)below) * (sorted[above] - sorted[below])
              : (double)NAN;
    }
  }
  pbt_mem_free(sorted);
  return PBT_OK;
}

/* At most a point a pixel: every stride-th generation. */
static int64_t stride_of(const struct figure *figure, int64_t n) {
  int64_t stride = (int64_t)((double)n / (figure->x.to - figure->x.from));
  return stride > 1 ? stride : 1;
}

static void draw_band(struct figure *figure, const double quantile[], int64_t n,
                      int low) {
  struct pbt_text d = {0};
  int64_t stride = stride_of(figure, n);
  for (int64_t g = 0; g < n; g += stride) {
    double value = quantile[g * QUANTILES + low];
    if (isfinite(value)) {
      figure_number(&d, d.length > 0 ? 'L' : 'M', axis_at(&figure->x, (double)g),
                    axis_at(&figure->y, value));
    }
  }
  for (int64_t g = (n - 1) / stride * stride; g >= 0; g -= stride) {
    double value = quantile[g * QUANTILES + QUANTILES - 1 - low];
    if (isfinite(value) && d.length > 0) {
      figure_number(&d, 'L', axis_at(&figure->x, (double)g), axis_at(&figure->y, value));
    }
  }
  figure_path(figure, "band", &d);
  pbt_text_free(&d);
}

static void draw_median(struct figure *figure, const double quantile[], int64_t n) {
  struct pbt_text d = {0};
  polyline(figure, quantile + QUANTILES / 2, n, QUANTILES, &d);
  figure_path(figure, "median", &d);
  pbt_text_free(&d);
}

static void draw_winner(const struct scene *scene, const double at[],
                        struct figure *figure) {
  const struct history *history = &scene->history;
  struct pbt_text d = {0};
  bool on = false;
  for (int64_t g = scene->winner.first; scene->has_winner && g <= scene->winner.last;
       g++) {
    double value = at[history_at(history, g, scene->winner.member[g])];
    if (isfinite(value)) {
      figure_number(&d, on ? 'L' : 'M', axis_at(&figure->x, (double)g),
                    axis_at(&figure->y, value));
    }
    on = on || isfinite(value);
  }
  figure_path(figure, "winner", &d);
  pbt_text_free(&d);
}

pbt_status draw_fitness(const struct scene *scene, struct figure *figure) {
  const struct history *history = &scene->history;
  double a = scene->fitness_worst, b = scene->fitness_best, margin = 0.04 * fabs(b - a);
  margin = margin > 0.0 ? margin : 0.5 * (fabs(a) > 0.0 ? fabs(a) : 1.0);
  figure->y.low = (a < b ? a : b) - margin;
  figure->y.high = (a < b ? b : a) + margin;
  char title[160];
  snprintf(title, sizeof title, "Fitness: validation %.60s", history->info->metric);
  figure_begin(figure, title,
               scene->crowded
                   ? "Bands hold all, 80 % and 50 % of the members, the line is their "
                     "median; the thick line is the way to the winner."
                   : "A thin line is a member, the blue one their median; the thick line "
                     "is the way to the winner.");
  figure_x_axis(figure, "generation");
  figure_y_axis(figure, history->info->metric);
  double *quantile;
  PBT_TRY(PBT_NEW(history->n_generation * QUANTILES, &quantile));
  pbt_status status = measure_quantiles(history, quantile);
  for (int band = 0; band < BANDS && scene->crowded; band++) {
    draw_band(figure, quantile, history->n_generation, band);
  }
  if (!scene->crowded) {
    draw_members(scene, figure);
  }
  draw_median(figure, quantile, history->n_generation);
  pbt_mem_free(quantile);
  draw_winner(scene, history->fitness, figure);
  figure_text(figure, figure->x.from + 8.0, figure->y.from + 32.0, "winner",
              "winner's path");
  figure_end(figure);
  return status;
}

/* ---- hyperparameters ---- */

/* Each stretch of one value and one colour is a horizontal line. */
static void draw_trajectories(const struct scene *scene, int32_t h,
                              struct figure *figure) {
  const struct history *history = &scene->history;
  struct pbt_text d[FIGURE_RAMP] = {{0}};
  int64_t n = history->n_member;
  for (int64_t m = 0; m < n; m++) {
    for (int64_t g = 0, end; g < history->n_generation; g = end) {
      int64_t at = history_at(history, g, m);
      if (history->event[at] == PBT_ABSENT) { // not in the population
        end = g + 1;
        continue;
      }
      double value = history->value[h][at];
      int colour = figure_ramp(scene_quality(scene, history->fitness[at]));
      for (end = g + 1; end < history->n_generation; end++) {
        int64_t next = history_at(history, end, m);
        if (history->value[h][next] != value ||
            figure_ramp(scene_quality(scene, history->fitness[next])) != colour) {
          break;
        }
      }
      double from = axis_at(&figure->x, (double)g - 0.5);
      figure_number(&d[colour], 'M', from, axis_at(&figure->y, value));
      figure_number(&d[colour], 'H', axis_at(&figure->x, (double)end - 0.5), 0.0);
    }
  }
  for (int c = 0; c < FIGURE_RAMP; c++) {
    char css[8];
    snprintf(css, sizeof css, "c%d", c);
    figure_path(figure, css, &d[c]);
    pbt_text_free(&d[c]);
  }
}

static bool is_whole(const struct pbt_hparam *hparam) {
  return hparam->kind == PBT_INT || hparam->kind == PBT_CHOICE;
}

struct cell {
  double sum;
  int64_t n;
};

/* A grid of generations by values; a cell's colour is that of its mean fitness. */
static pbt_status draw_grid(const struct scene *scene, int32_t h, struct figure *figure) {
  const struct history *history = &scene->history;
  int64_t columns = figure->narrow ? 80 : 160, rows = 48;
  columns = history->n_generation < columns ? history->n_generation : columns;
  double values = figure->y.high - figure->y.low;
  rows = is_whole(&history->hparam[h]) && values < (double)rows ? (int64_t)values : rows;
  struct cell *cell;
  PBT_TRY(PBT_NEW(columns * rows, &cell));
  double top = figure->y.to, height = figure->y.from - figure->y.to;
  for (int64_t i = 0; i < history->size; i++) {
    if (history->event[i] == PBT_ABSENT) {
      continue;
    }
    double quality = scene_quality(scene, history->fitness[i]);
    double place = (axis_at(&figure->y, history->value[h][i]) - top) / height;
    int64_t row = (int64_t)(place * (double)rows);
    row = row < 0 ? 0 : row >= rows ? rows - 1 : row;
    int64_t column = i / history->n_member * columns / history->n_generation;
    quality = isfinite(quality) && quality > 0.0 ? quality : 0.0;
    cell[column * rows + row].sum += quality;
    cell[column * rows + row].n++;
  }
  struct pbt_text d[FIGURE_RAMP] = {{0}};
  double w = (figure->x.to - figure->x.from) / (double)columns;
  for (int64_t i = 0; i < columns * rows; i++) {
    if (cell[i].n > 0) {
      int colour = figure_ramp(cell[i].sum / (double)cell[i].n);
      figure_rectangle(&d[colour], figure->x.from + w * (double)(i / rows),
                       top + height * (double)(i % rows) / (double)rows, w,
                       height / (double)rows);
    }
  }
  for (int c = 0; c < FIGURE_RAMP; c++) {
    char css[8];
    snprintf(css, sizeof css, "f%d", c);
    figure_path(figure, css, &d[c]);
    pbt_text_free(&d[c]);
  }
  pbt_mem_free(cell);
  return PBT_OK;
}

static void scale_of(const struct pbt_hparam *hparam, struct axis *axis) {
  axis->low = hparam->low;
  axis->high = hparam->high;
  axis->log = hparam->kind == PBT_LOG && hparam->low > 0.0;
  if (is_whole(hparam)) { // a row for each
    axis->low -= 0.5;
    axis->high += 0.5;
  }
  if (!(axis->high > axis->low)) {
    axis->high = axis->low + 1.0;
  }
}

/* The winner's values: steps, since they hold for whole generations. */
static void draw_winner_steps(const struct scene *scene, int32_t h,
                              struct figure *figure) {
  struct pbt_text d = {0};
  for (int64_t g = scene->winner.first; scene->has_winner && g <= scene->winner.last;
       g++) {
    int64_t at = history_at(&scene->history, g, scene->winner.member[g]);
    double y = axis_at(&figure->y, scene->history.value[h][at]);
    figure_number(&d, d.length > 0 ? 'L' : 'M', axis_at(&figure->x, (double)g - 0.5), y);
    figure_number(&d, 'H', axis_at(&figure->x, (double)g + 0.5), 0.0);
  }
  figure_path(figure, "winner", &d);
  pbt_text_free(&d);
}

/* The colours from the worst to the best, in the line below the axis. */
static void draw_key(const struct scene *scene, struct figure *figure) {
  char number[OUTPUT_SHORT];
  double y = figure->height - 17.0, x = figure->x.from + (figure->narrow ? 92.0 : 120.0);
  figure_text(figure, x - 6.0, y + 9.0, "note end",
              output_short(scene->fitness_worst, number));
  for (int c = 0; c < FIGURE_RAMP; c++) {
    pbt_text_add(figure->text,
                 "<rect class=\"f%d\" x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"10\"/>",
                 c, x + 8.0 * c, y);
  }
  figure_text(figure, x + 8.0 * FIGURE_RAMP + 6.0, y + 9.0, "note",
              output_short(scene->fitness_best, number));
  figure_text(figure, figure->x.from - (figure->narrow ? 40.0 : 0.0), y + 9.0, "note",
              "fitness");
}

pbt_status draw_hparam(const struct scene *scene, int32_t h, struct figure *figure) {
  const struct pbt_hparam *hparam = &scene->history.hparam[h];
  char title[160];
  scale_of(hparam, &figure->y);
  if (figure->x.high > 0.0) { // a generation is as wide as its values hold
    figure->x.low -= 0.5;
    figure->x.high += 0.5;
  }
  snprintf(title, sizeof title, "%.*s%s, coloured by fitness", PBT_HPARAM_NAME,
           hparam->name, figure->y.log ? " (log)" : "");
  figure_begin(figure, title,
               "Every member's value, coloured by the fitness it reached with it; the "
               "thick line is the winner's schedule.");
  figure_x_axis(figure, figure->narrow ? "" : "generation"); // the key needs the room
  if (hparam->kind == PBT_CHOICE) {
    for (int32_t i = 0; i < hparam->n_option; i++) {
      char number[OUTPUT_SHORT];
      figure_y_tick(figure, i, output_short(hparam->option[i], number));
    }
  } else {
    figure_y_axis(figure, hparam->name);
  }
  pbt_status status = PBT_OK;
  if (scene->crowded) {
    status = draw_grid(scene, h, figure);
  } else {
    draw_trajectories(scene, h, figure);
  }
  draw_winner_steps(scene, h, figure);
  draw_key(scene, figure);
  figure_end(figure);
  return status;
}
