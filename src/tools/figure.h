/*
 * figure.h - the little of SVG that the figures are made of.
 *
 * A figure is an <svg> whose parts have classes and no colours: a style sheet, made from
 * a palette, goes with it, so that the same figure is right on paper, light and dark.
 * Its scales are in data attributes, where the page's script finds them.
 */
#ifndef PBT_TOOLS_FIGURE_H
#define PBT_TOOLS_FIGURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { FIGURE_RAMP = 12, FIGURE_HEAT = 8, FIGURE_TICKS = 16 };

struct axis {
  double low, high; // values at `from` and `to`
  bool log;
  double from, to; // pixels
};
double axis_at(const struct axis *axis, double value);
/* Round values between low and high; returns how many. */
int axis_ticks(const struct axis *axis, int at_most, double tick[FIGURE_TICKS]);

struct figure {
  struct pbt_text *text;
  const char *name; // "fitness": the id is this and the width
  double width, height;
  bool narrow, standalone;
  struct axis x, y;
};

/* Opens the <svg>; the plot lies within margins for a title line and the axes. */
void figure_begin(struct figure *figure, const char *title, const char *description);
void figure_end(struct figure *figure);
/* Generations below, whole numbers; `label` beside the y axis with its round values. */
void figure_x_axis(struct figure *figure, const char *label);
void figure_y_axis(struct figure *figure, const char *label);
void figure_y_tick(struct figure *figure, double value, const char *label);
void figure_text(struct figure *figure, double x, double y, const char *css,
                 const char *string);

/* Pieces of a path's d attribute, to a tenth of a pixel. */
void figure_number(struct pbt_text *text, char command, double a, double b);
void figure_rectangle(struct pbt_text *text, double x, double y, double w, double h);
/* <path class="..."> around d; clipped to the plot. */
void figure_path(struct figure *figure, const char *css, const struct pbt_text *d);

/* CSS rules for the classes above. */
enum figure_theme { FIGURE_LIGHT, FIGURE_DARK };
void figure_style(struct pbt_text *text, enum figure_theme theme);
/* "c0" (worst) to "c11" for a share from 0 to 1. */
int figure_ramp(double share);

#endif
