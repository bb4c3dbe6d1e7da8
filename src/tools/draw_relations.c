/*
 * draw_relations.c - who descends from whom, who copied whom, where the time went.
 */
#include "base/memory.h"
#include "tools/output.h"
#include "tools/scene.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- phylogeny ---- */

/* From the parent's row at the life's beginning down to the own row, and along it. */
static void draw_life(const struct scene *scene, int64_t i, double until, const char *css,
                      struct figure *figure) {
  const struct life *life = &scene->forest.life[i];
  const struct phylogeny *phylogeny = &scene->phylogeny;
  double y = axis_at(&figure->y, (double)phylogeny->row[i]);
  double first = axis_at(&figure->x, (double)life->first - 0.5);
  struct pbt_text d = {0};
  if (life->parent >= 0) {
    double from = axis_at(&figure->y, (double)phylogeny->row[life->parent]);
    figure_number(&d, 'M', first, from);
    figure_number(&d, 'V', y, 0.0);
  } else {
    figure_number(&d, 'M', first, y);
  }
  figure_number(&d, 'H', axis_at(&figure->x, until + 0.5), 0.0);
  pbt_text_add(figure->text, "<path class=\"%s\" data-life=\"%d %lld\" d=\"%s\"/>", css,
               life->member, (long long)life->first, d.data != NULL ? d.data : "");
  pbt_text_free(&d);
}

/* The winner's way on top: each life up to where its state was handed on. */
static void draw_way(const struct scene *scene, struct figure *figure) {
  double until = (double)scene->winner.last;
  for (int64_t i = scene->forest.n_life - 1; i >= 0 && scene->has_winner; i--) {
    const struct life *life = &scene->forest.life[i];
    if (scene->won[i] && scene->phylogeny.row[i] >= 0) {
      draw_life(scene, i, until, "winner", figure);
    }
    until = scene->won[i] ? (double)life->first - 1.0 : until;
  }
}

pbt_status draw_phylogeny(const struct scene *scene, struct figure *figure) {
  const struct phylogeny *phylogeny = &scene->phylogeny;
  figure->y = (struct axis){.low = (double)phylogeny->n_row - 0.5, .high = -0.5};
  figure->x.low -= 0.5;
  figure->x.high += 0.5;
  figure_begin(figure,
               phylogeny->all ? "Phylogeny: replaced lives dashed"
                              : "Phylogeny of the final members",
               "Time runs to the right; a copy begins below what it was copied from; the "
               "thick line is the way to the winner.");
  figure_x_axis(figure, "generation");
  for (int64_t k = 0; k < phylogeny->n; k++) {
    int64_t i = phylogeny->shown[k];
    draw_life(scene, i, (double)phylogeny->until[i],
              scene->forest.life[i].survives ? "alive life" : "dead life", figure);
  }
  draw_way(scene, figure);
  enum { LABELS = 24 };
  for (int64_t k = 0; k < phylogeny->n && phylogeny->n_row <= LABELS; k++) {
    int64_t i = phylogeny->shown[k];
    const struct life *life = &scene->forest.life[i];
    char name[32];
    snprintf(name, sizeof name, "%d", life->member);
    figure_text(figure, axis_at(&figure->x, (double)life->first - 0.5) + 2.0,
                axis_at(&figure->y, (double)phylogeny->row[i]) - 3.0, "note", name);
  }
  figure_end(figure);
  return PBT_OK;
}

/* ---- how many lines are left ---- */

static void draw_count(struct figure *figure, const int64_t count[], int64_t n,
                       const char *css) {
  struct pbt_text d = {0};
  for (int64_t g = 0; g < n; g++) {
    bool same =
        g > 0 && g + 1 < n && count[g] == count[g - 1] && count[g] == count[g + 1];
    if (!same) {
      figure_number(&d, g == 0 ? 'M' : 'L', axis_at(&figure->x, (double)g),
                    axis_at(&figure->y, (double)(count[g] > 0 ? count[g] : 1)));
    }
  }
  figure_path(figure, css, &d);
  pbt_text_free(&d);
}

pbt_status draw_roots(const struct scene *scene, struct figure *figure) {
  const struct history *history = &scene->history;
  double most = 1.0;
  for (int64_t g = 0; g < history->n_generation; g++) {
    most = (double)scene->forest.roots[g] > most ? (double)scene->forest.roots[g] : most;
    most = (double)scene->forest.ancestors[g] > most ? (double)scene->forest.ancestors[g]
                                                     : most;
  }
  figure->y = (struct axis){.low = 0.9, .high = 1.2 * most, .log = true};
  figure_begin(
      figure, "Diversity: ancestors and roots",
      "How many different first weights there still are, and of how many members "
      "of each generation the final ones descend.");
  figure_x_axis(figure, "generation");
  figure_y_axis(figure, "members");
  draw_count(figure, scene->forest.roots, history->n_generation, "median");
  draw_count(figure, scene->forest.ancestors, history->n_generation, "winner");
  figure_text(figure, figure->x.from + 8.0, figure->height - 8.0, "winner", "ancestors");
  figure_text(figure, figure->x.from + 84.0, figure->height - 8.0, "note",
              "blue: roots left");
  figure_end(figure);
  return PBT_OK;
}

/* ---- who copied whom ---- */

enum { COPY_BINS = 48 };

static void count_copies(const struct history *history, int64_t bins,
                         int64_t count[]) { // [donor, receiver]
  int64_t n = history->n_member;
  for (int64_t i = 0; i < history->size; i++) {
    int64_t m = i % n, donor = history->parent[i];
    if (donor >= 0 && donor != m) {
      count[donor * bins / n * bins + m * bins / n]++;
    }
  }
}

static void draw_cells(struct figure *figure, const int64_t count[], int64_t bins,
                       int64_t most) {
  struct pbt_text d[FIGURE_HEAT] = {{0}};
  double w = (figure->x.to - figure->x.from) / (double)bins;
  double h = (figure->y.from - figure->y.to) / (double)bins;
  for (int64_t i = 0; i < bins * bins; i++) {
    if (count[i] > 0) {
      int level = (int)((double)(count[i] * FIGURE_HEAT - 1) / (double)most);
      level = level < FIGURE_HEAT ? level : FIGURE_HEAT - 1;
      figure_rectangle(&d[level], figure->x.from + w * (double)(i % bins),
                       figure->y.to + h * (double)(i / bins), w, h);
    }
  }
  for (int level = 0; level < FIGURE_HEAT; level++) {
    char css[8];
    snprintf(css, sizeof css, "h%d", level);
    figure_path(figure, css, &d[level]);
    pbt_text_free(&d[level]);
  }
}

pbt_status draw_copies(const struct scene *scene, struct figure *figure) {
  const struct history *history = &scene->history;
  int64_t n = history->n_member, bins = n < COPY_BINS ? n : COPY_BINS, most = 0;
  int64_t *count;
  char note[64];
  PBT_TRY(PBT_NEW(bins * bins, &count));
  count_copies(history, bins, count);
  for (int64_t i = 0; i < bins * bins; i++) {
    most = count[i] > most ? count[i] : most;
  }
  figure->x = (struct axis){.low = -0.5, .high = (double)n - 0.5};
  figure->y = (struct axis){.low = (double)n - 0.5, .high = -0.5};
  figure_begin(figure, "Who copied whom: donors down",
               "The darker a cell (the brighter, on dark), the more often the member of "
               "its column took over the state of the member of its row.");
  figure_x_axis(figure, "receiver");
  double tick[FIGURE_TICKS];
  const struct axis upward = {.low = -0.5, .high = (double)n - 0.5};
  int ticks = axis_ticks(&upward, 10, tick);
  for (int i = 0; i < ticks; i++) {
    char number[OUTPUT_SHORT];
    if (tick[i] == floor(tick[i])) {
      figure_y_tick(figure, tick[i], output_short(tick[i], number));
    }
  }
  draw_cells(figure, count, bins, most > 0 ? most : 1);
  if (bins < n) {
    snprintf(note, sizeof note, "%.0f members a cell; at most %lld copies",
             ceil((double)n / (double)bins), (long long)most);
  } else {
    snprintf(note, sizeof note, "at most %lld copies", (long long)most);
  }
  figure_text(figure, figure->x.from, figure->height - 8.0, "note", note);
  figure_end(figure);
  pbt_mem_free(count);
  return PBT_OK;
}

/* ---- time ---- */

pbt_status draw_time(const struct scene *scene, struct figure *figure) {
  enum { BARS = 48 };
  int64_t n = scene->history.n_member, bars = n < BARS ? n : BARS;
  figure->x = (struct axis){.low = -0.5, .high = (double)n - 0.5};
  figure->y = (struct axis){.low = 0.0, .high = 100.0};
  figure_begin(figure, "Time of each member, percent",
               "From below: train, evaluate, exchange, record, idle.");
  figure_x_axis(figure, figure->narrow ? "" : "member");
  figure_y_axis(figure, "percent");
  struct pbt_text d[PBT_PHASES] = {{0}};
  double width = (figure->x.to - figure->x.from) / (double)bars;
  for (int64_t bar = 0; bar < bars; bar++) {
    int64_t from = bar * n / bars, to = (bar + 1) * n / bars;
    struct time_share sum = time_share_sum(scene->share + from, to - from);
    double below = 0.0;
    for (int p = 0; p < PBT_PHASES && sum.total > 0.0; p++) {
      double share = 100.0 * sum.seconds[p] / sum.total;
      double top = axis_at(&figure->y, below + share), base = axis_at(&figure->y, below);
      figure_rectangle(&d[p], figure->x.from + width * ((double)bar + 0.08), top,
                       0.84 * width, base - top);
      below += share;
    }
  }
  double x = figure->x.from - (figure->narrow ? 42.0 : 0.0);
  for (int p = 0; p < PBT_PHASES; p++) {
    char css[8];
    const char *name = time_share_phase((enum pbt_phase)p);
    snprintf(css, sizeof css, "p%d", p);
    figure_path(figure, css, &d[p]);
    pbt_text_free(&d[p]);
    pbt_text_add(figure->text,
                 "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\"/>",
                 css, x, figure->height - 16.0);
    figure_text(figure, x + 12.0, figure->height - 8.0, "note", name);
    x += 24.0 + 6.0 * (double)strlen(name);
  }
  figure_end(figure);
  return PBT_OK;
}
