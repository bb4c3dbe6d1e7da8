#include "tools/figure.h"

#include "tools/output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- scales ---- */

double axis_at(const struct axis *axis, double value) {
  double low = axis->log ? log(axis->low) : axis->low;
  double high = axis->log ? log(axis->high) : axis->high;
  double at = axis->log ? log(value > 0.0 ? value : axis->low) : value;
  double share = high != low ? (at - low) / (high - low) : 0.5;
  return axis->from + share * (axis->to - axis->from);
}

static int linear_ticks(const struct axis *axis, int at_most, double tick[]) {
  double span = axis->high - axis->low;
  double step = pow(10.0, floor(log10(span / at_most)));
  static const double nice[] = {1.0, 2.0, 5.0, 10.0};
  for (int i = 0; i < 4; i++) {
    if (span / (step * nice[i]) <= at_most) {
      step *= nice[i];
      break;
    }
  }
  int n = 0;
  for (double k = ceil(axis->low / step - 1e-9);
       k * step <= axis->high + 1e-9 * span && n < FIGURE_TICKS; k += 1.0) {
    tick[n++] = k * step + 0.0; // never -0
  }
  return n;
}

static int log_ticks(const struct axis *axis, int at_most, double tick[]) {
  double decades = log10(axis->high / axis->low);
  static const double fine[] = {1.0, 2.0, 5.0};
  int per_decade = decades * 3.0 <= at_most ? 3 : 1;
  double stride = ceil(decades / at_most);
  int n = 0;
  for (double e = floor(log10(axis->low)); e <= log10(axis->high);
       e += stride > 1.0 ? stride : 1.0) {
    for (int i = 0; i < per_decade && n < FIGURE_TICKS; i++) {
      double value = fine[i] * pow(10.0, e);
      if (value >= axis->low * (1 - 1e-9) && value <= axis->high * (1 + 1e-9)) {
        tick[n++] = value;
      }
    }
  }
  return n;
}

int axis_ticks(const struct axis *axis, int at_most, double tick[FIGURE_TICKS]) {
  if (!(axis->high > axis->low)) {
    tick[0] = axis->low;
    return 1;
  }
  return axis->log ? log_ticks(axis, at_most, tick) : linear_ticks(axis, at_most, tick);
}

int figure_ramp(double share) {
  double place = share * FIGURE_RAMP;
  return !(place > 0.0) ? 0 : place >= FIGURE_RAMP ? FIGURE_RAMP - 1 : (int)place;
}

/* ---- the frame ---- */

static void standalone_style(struct figure *it) {
  pbt_text_add(it->text, "<style>");
  figure_style(it->text, FIGURE_LIGHT);
  pbt_text_add(it->text, "</style><rect class=\"paper\" width=\"%.0f\" height=\"%.0f\"/>",
               it->width, it->height);
}

void figure_begin(struct figure *it, const char *title, const char *description) {
  it->x.from = it->narrow ? 46.0 : 62.0;
  it->x.to = it->width - 12.0;
  it->y.from = it->height - 40.0;
  it->y.to = 30.0;
  pbt_text_add(
      it->text,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" id=\"%s-%.0f\" class=\"figure\" "
      "viewBox=\"0 0 %.0f %.0f\" role=\"img\" data-figure=\"%s\" "
      "data-x=\"%g %g %.1f %.1f\" data-y=\"%g %g %.1f %.1f %d\"",
      it->name, it->width, it->width, it->height, it->name, it->x.low, it->x.high,
      it->x.from, it->x.to, it->y.low, it->y.high, it->y.from, it->y.to, it->y.log);
  if (it->standalone) {
    pbt_text_add(it->text, " width=\"%.0f\" height=\"%.0f\"", it->width, it->height);
  }
  pbt_text_add(it->text, "><title>");
  output_markup(it->text, title);
  pbt_text_add(it->text, "</title><desc>");
  output_markup(it->text, description);
  pbt_text_add(it->text, "</desc>");
  if (it->standalone) {
    standalone_style(it);
  }
  pbt_text_add(it->text,
               "<clipPath id=\"%s-%.0f-clip\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
               "height=\"%.1f\"/></clipPath>",
               it->name, it->width, it->x.from - 2, it->y.to - 4,
               it->x.to - it->x.from + 6, it->y.from - it->y.to + 8);
  figure_text(it, 4.0, 16.0, "title", title);
}

void figure_end(struct figure *it) {
  pbt_text_add(it->text, "</svg>\n");
}

void figure_text(struct figure *it, double x, double y, const char *css,
                 const char *string) {
  pbt_text_add(it->text, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", css, x, y);
  output_markup(it->text, string);
  pbt_text_add(it->text, "</text>");
}

void figure_x_axis(struct figure *it, const char *label) {
  double tick[FIGURE_TICKS];
  int n = axis_ticks(&it->x, it->narrow ? 5 : 10, tick);
  for (int i = 0; i < n; i++) {
    char number[OUTPUT_SHORT];
    double x = axis_at(&it->x, tick[i]);
    if (tick[i] != floor(tick[i])) {
      continue; // there is no half generation
    }
    pbt_text_add(it->text, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, it->y.from,
                 it->y.to);
    snprintf(number, sizeof number, "%.0f", tick[i]);
    figure_text(it, x, it->y.from + 15.0, "tick middle", number);
  }
  figure_text(it, it->x.to, it->y.from + 32.0, "label end", label);
}

void figure_y_tick(struct figure *it, double value, const char *label) {
  double y = axis_at(&it->y, value);
  pbt_text_add(it->text, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", it->x.from, y,
               it->x.to);
  figure_text(it, it->x.from - 5.0, y + 4.0, "tick end", label);
}

void figure_y_axis(struct figure *it, const char *label) {
  double tick[FIGURE_TICKS];
  int n = axis_ticks(&it->y, 6, tick);
  for (int i = 0; i < n; i++) {
    char number[OUTPUT_SHORT];
    figure_y_tick(it, tick[i], output_short(tick[i], number));
  }
  (void)label; // the title says it
}

/* ---- paths ---- */

static size_t tenth(double value, char *to) {
  int n = snprintf(to, 24, "%.1f", value);
  if (n > 2 && strcmp(to + n - 2, ".0") == 0) {
    n -= 2;
  }
  return (size_t)n;
}

void figure_number(struct pbt_text *text, char command, double a, double b) {
  char piece[64];
  size_t n = 1;
  piece[0] = command;
  n += tenth(a, piece + n);
  if (command != 'H' && command != 'V' && command != 'h' && command != 'v') {
    piece[n++] = ' ';
    n += tenth(b, piece + n);
  }
  pbt_text_add_bytes(text, piece, n);
}

void figure_rectangle(struct pbt_text *text, double x, double y, double w, double h) {
  figure_number(text, 'M', x, y);
  figure_number(text, 'h', w, 0.0);
  figure_number(text, 'v', h, 0.0);
  figure_number(text, 'h', -w, 0.0);
  pbt_text_add_bytes(text, "z", 1);
}

void figure_path(struct figure *it, const char *css, const struct pbt_text *d) {
  if (d->length == 0) {
    return;
  }
  if (d->status != PBT_OK) {
    it->text->status = d->status;
    return;
  }
  pbt_text_add(it->text, "<path class=\"%s\" clip-path=\"url(#%s-%.0f-clip)\" d=\"", css,
               it->name, it->width);
  pbt_text_add_bytes(it->text, d->data, d->length);
  pbt_text_add(it->text, "\"/>");
}

/* ---- colours ---- */

/* The ramps are viridis, cut where it would vanish in the paper: the best has most
 * contrast.  The winner's orange and the phases are Okabe and Ito's, told apart by
 * everybody. */
static const struct palette {
  const char *paper, *ink, *soft, *grid, *member, *band, *winner, *chosen;
  const char *ramp[FIGURE_RAMP], *heat[FIGURE_HEAT], *phase[5];
} palette[] = {
    [FIGURE_LIGHT] = {"#ffffff",
                      "#1c2024",
                      "#5c6670",
                      "#e3e6ea",
                      "#8a97a5",
                      "#4a78a8",
                      "#d55e00",
                      "#0033cc",
                      {"#a2da37", "#7ad151", "#54c568", "#35b779", "#22a884", "#1f988b",
                       "#23888e", "#2a788e", "#31688e", "#39558c", "#414287", "#440154"},
                      {"#e4eff9", "#cfe1f2", "#add0e6", "#7db8da", "#4f9bcb", "#2a7ab9",
                       "#0d57a1", "#08306b"},
                      {"#0072b2", "#56b4e9", "#e69f00", "#009e73", "#b4bac0"}},
    [FIGURE_DARK] = {"#14181d",
                     "#e8eaed",
                     "#a3adb8",
                     "#2a3038",
                     "#66727f",
                     "#6ea0d2",
                     "#ff8c3a",
                     "#8fb8ff",
                     {"#38588c", "#32658e", "#2c728e", "#277f8e", "#228c8d", "#1f998a",
                      "#28ae80", "#3fbc73", "#5ec962", "#84d44b", "#addc30", "#fde725"},
                     {"#1b2838", "#1f3a57", "#245078", "#2b6799", "#3a82b8", "#5a9fd0",
                      "#8abde4", "#d3e8fb"},
                     {"#2f8fd0", "#8fd0f5", "#f0b43a", "#2dbd94", "#5a636d"}},
};

void figure_style(struct pbt_text *text, enum figure_theme theme) {
  const struct palette *p = &palette[theme];
  pbt_text_add(text,
               ".figure{background:%s;font:12px system-ui,sans-serif}"
               ".figure text{fill:%s}.figure .tick,.figure .label,.figure .note{fill:%s}"
               ".figure .title{font-weight:600;font-size:13px}"
               ".figure .middle{text-anchor:middle}.figure .end{text-anchor:end}"
               ".paper{fill:%s}.grid{stroke:%s;fill:none}",
               p->paper, p->ink, p->soft, p->paper, p->grid);
  pbt_text_add(text,
               ".member{stroke:%s;fill:none;stroke-opacity:.55}"
               ".dead{stroke:%s;fill:none;stroke-opacity:.5;stroke-dasharray:2 2}"
               ".alive{stroke:%s;fill:none}"
               ".band{fill:%s;fill-opacity:.16;stroke:none}"
               ".median{stroke:%s;fill:none;stroke-width:1.5}",
               p->member, p->member, p->soft, p->band, p->band);
  pbt_text_add(text,
               ".winner{stroke:%s;fill:none;stroke-width:2.5}"
               ".chosen{stroke:%s;fill:none;stroke-width:2.5;stroke-dasharray:6 2}"
               ".spot{fill:%s;stroke:%s}text.winner{stroke:none;fill:%s}",
               p->winner, p->chosen, p->chosen, p->paper, p->winner);
  for (int i = 0; i < FIGURE_RAMP; i++) {
    pbt_text_add(text, ".c%d{stroke:%s;fill:none;stroke-width:1.6}.f%d{fill:%s}", i,
                 p->ramp[i], i, p->ramp[i]);
  }
  for (int i = 0; i < FIGURE_HEAT; i++) {
    pbt_text_add(text, ".h%d{fill:%s}", i, p->heat[i]);
  }
  for (int i = 0; i < 5; i++) {
    pbt_text_add(text, ".p%d{fill:%s}", i, p->phase[i]);
  }
}
