/*
 * scene.h - a run with all that its figures need, and the figures: for the page and for
 * files alike, in any width.
 */
#ifndef PBT_TOOLS_SCENE_H
#define PBT_TOOLS_SCENE_H

#include "tools/ancestry.h"
#include "tools/figure.h"
#include "tools/phylogeny.h"
#include "tools/run_state.h"
#include "tools/time_share.h"

struct scene {
  struct history history;
  struct forest forest;
  struct phylogeny phylogeny; // all lives of a small run, the survivors of a large one
  struct ancestry winner;
  bool has_winner;
  bool *won; // [n_life]: on the winner's way
  struct run_state state;
  struct time_share *share;           // [n_member]
  double fitness_worst, fitness_best; // the range worth drawing: outliers left out
  bool crowded;                       // too many members to draw each of them
};

/* PBT_ERR_DATA for a run without a generation. */
pbt_status scene_open(const char *run, struct scene *scene);
void scene_close(struct scene *scene);

/* 0 for the worst fitness worth drawing, 1 for the best; NaN stays NaN. */
double scene_quality(const struct scene *scene, double fitness);

/* ---- figures ---- */

/* How many, and the name of each: "fitness", "phylogeny", "hparam-lr", ... */
enum { SCENE_FIXED = 5, SCENE_NAME = PBT_HPARAM_NAME + 16 };
int scene_figures(const struct scene *scene);
void scene_name(const struct scene *scene, int figure, char name[SCENE_NAME]);

/* Adds figure number `figure` as one <svg>. */
pbt_status scene_draw(const struct scene *scene, int figure, double width,
                      bool standalone, struct pbt_text *text);

pbt_status draw_fitness(const struct scene *scene, struct figure *figure);
pbt_status draw_hparam(const struct scene *scene, int32_t hparam, struct figure *figure);
pbt_status draw_phylogeny(const struct scene *scene, struct figure *figure);
pbt_status draw_roots(const struct scene *scene, struct figure *figure);
pbt_status draw_copies(const struct scene *scene, struct figure *figure);
pbt_status draw_time(const struct scene *scene, struct figure *figure);

#endif
