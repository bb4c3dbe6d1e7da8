#include "tools/scene.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Cells (members x generations) up to which every member has a line of its own, and lives
 * up to which all are in the phylogeny. */
enum { CROWD = 40000, LIVES = 600 };

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* From the best to the 2nd percentile: a diverged member must not flatten all others. */
static pbt_status measure_fitness(struct scene *it) {
  const struct history *history = &it->history;
  double *sorted;
  int64_t n = 0;
  PBT_TRY(PBT_NEW(history->size + 1, &sorted));
  for (int64_t i = 0; i < history->size; i++) {
    if (isfinite(history->fitness[i])) {
      sorted[n++] = history->fitness[i];
    }
  }
  qsort(sorted, (size_t)n, sizeof *sorted, ascending);
  if (n == 0) {
    it->fitness_worst = 0.0;
    it->fitness_best = 1.0;
  } else {
    int64_t off = n / 50;
    bool up = history->info->maximize;
    it->fitness_worst = up ? sorted[off] : sorted[n - 1 - off];
    it->fitness_best = up ? sorted[n - 1] : sorted[0];
  }
  pbt_mem_free(sorted);
  return PBT_OK;
}

static pbt_status look(struct scene *it) {
  const struct history *history = &it->history;
  PBT_TRY(forest_grow(history, &it->forest));
  PBT_TRY(phylogeny_open(&it->forest, it->forest.n_life <= LIVES, &it->phylogeny));
  PBT_TRY(PBT_NEW(it->forest.n_life + 1, &it->won));
  PBT_TRY(PBT_NEW(history->n_member, &it->share));
  pbt_status status = ancestry_of_winner(history, &it->winner);
  it->has_winner = status == PBT_OK;
  if (it->has_winner) {
    PBT_TRY(forest_mark(&it->forest, &it->winner, it->won));
  } else if (status != PBT_ERR_DATA) {
    return status;
  }
  pbt_error_clear();
  run_state_read(history, &it->state);
  time_share_of(history, it->share);
  it->crowded = history->size > CROWD;
  return measure_fitness(it);
}

pbt_status scene_open(const char *run, struct scene *scene) {
  *scene = (struct scene){0};
  PBT_TRY(history_load(run, &scene->history));
  pbt_status status = scene->history.n_generation > 0
                          ? look(scene)
                          : pbt_fail(PBT_ERR_DATA, "%s holds no committed generation yet",
                                     scene->history.path);
  if (status != PBT_OK) {
    scene_close(scene);
  }
  return status;
}

void scene_close(struct scene *it) {
  pbt_mem_free(it->won);
  pbt_mem_free(it->share);
  ancestry_free(&it->winner);
  phylogeny_free(&it->phylogeny);
  forest_free(&it->forest);
  history_free(&it->history);
}

double scene_quality(const struct scene *scene, double fitness) {
  double span = scene->fitness_best - scene->fitness_worst;
  return span != 0.0 ? (fitness - scene->fitness_worst) / span : 0.5;
}

/* ---- figures ---- */

static const struct {
  const char *name;
  double height, narrow_height;
  pbt_status (*draw)(const struct scene *scene, struct figure *figure);
} fixed[SCENE_FIXED] = {
    {"fitness", 340, 280, draw_fitness}, {"phylogeny", 460, 400, draw_phylogeny},
    {"roots", 240, 220, draw_roots},     {"copies", 0, 0, draw_copies}, // a square
    {"time", 320, 300, draw_time},
};

int scene_figures(const struct scene *scene) {
  return SCENE_FIXED + scene->history.n_hparam;
}

void scene_name(const struct scene *scene, int figure, char name[SCENE_NAME]) {
  if (figure < SCENE_FIXED) {
    snprintf(name, SCENE_NAME, "%s", fixed[figure].name);
    return;
  }
  snprintf(name, SCENE_NAME, "hparam-%s",
           scene->history.hparam[figure - SCENE_FIXED].name);
  for (char *c = name; *c != '\0'; c++) { // it becomes an id and the name of a file
    bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                 (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
    *c = plain ? *c : '_';
  }
}

pbt_status scene_draw(const struct scene *scene, int figure, double width,
                      bool standalone, struct pbt_text *text) {
  enum { NARROW = 500, SQUARE = 520 };
  char name[SCENE_NAME];
  scene_name(scene, figure, name);
  struct figure one = {.text = text,
                       .name = name,
                       .width = width,
                       .narrow = width < NARROW,
                       .standalone = standalone};
  double last = (double)scene->history.n_generation - 1.0;
  one.x = (struct axis){.low = 0.0, .high = last > 0.0 ? last : 1.0};
  if (figure >= SCENE_FIXED) {
    one.height = one.narrow ? 250.0 : 290.0;
    return draw_hparam(scene, figure - SCENE_FIXED, &one);
  }
  one.height = one.narrow ? fixed[figure].narrow_height : fixed[figure].height;
  if (one.height == 0.0) {
    one.width = width < SQUARE ? width : SQUARE;
    one.height = one.width + 8.0;
  }
  return fixed[figure].draw(scene, &one);
}
