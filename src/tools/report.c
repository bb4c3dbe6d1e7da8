/*
 * report.c - the run as one HTML page that needs nothing else.
 *
 * Figures are the same SVG as `plot` writes, each twice: for wide and for narrow screens;
 * the style sheet shows one.  They are whole without the script, which adds the asking.
 * Nothing is loaded from anywhere, and the page's own policy forbids it.
 */
#include "base/clock.h"
#include "tools/commands.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/page/page.h"
#include "tools/report_data.h"
#include "tools/scene.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
  WIDE = 900,
  HALF = 560,
  NARROW = 360
}; // pixels: alone in its row, one of two, a phone

/* ---- head ---- */

static void add_head(const struct scene *scene, struct pbt_text *text) {
  pbt_text_add(
      text, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>");
  output_markup(text, scene->history.info->job_name);
  pbt_text_add(text, ": a run of pbt_mpi</title>\n<style>\n%s", pbt_page_css);
  figure_style(text, FIGURE_LIGHT);
  pbt_text_add(text, "\n@media (prefers-color-scheme:dark){");
  figure_style(text, FIGURE_DARK);
  pbt_text_add(text, "}\n@media print{");
  figure_style(text, FIGURE_LIGHT);
  pbt_text_add(text, "}\n</style>\n</head>\n<body>\n");
}

static void add_card(struct pbt_text *text, const char *value, const char *name) {
  pbt_text_add(text, "<div class=\"card\"><b>");
  output_markup(text, value);
  pbt_text_add(text, "</b><span>");
  output_markup(text, name);
  pbt_text_add(text, "</span></div>\n");
}

static void add_winner_cards(const struct scene *scene, struct pbt_text *text) {
  const struct history *history = &scene->history;
  char value[OUTPUT_SHORT], name[160];
  int64_t g = scene->winner.last;
  double best = history->fitness[history_at(history, g, scene->winner.member[g])];
  double test = run_state_test(&scene->state, history);
  snprintf(name, sizeof name, "validation %.60s of the winner", history->info->metric);
  add_card(text, output_short(best, value), name);
  if (!isnan(test)) {
    snprintf(name, sizeof name, "test %.60s, %.0f images", history->info->metric,
             scene->state.test_count);
    add_card(text, output_short(test, value), name);
    add_card(text, output_short(best - test, value), "validation minus test");
  }
  snprintf(name, sizeof name, "winner, in generation %lld", (long long)g);
  char member[32];
  snprintf(member, sizeof member, "member %d", scene->winner.member[g]);
  add_card(text, member, name);
}

static void add_summary(const struct scene *scene, struct pbt_text *text) {
  const struct history *history = &scene->history;
  char value[64], state[256], time[OUTPUT_SHORT];
  int64_t planned = history_planned(history);
  pbt_text_add(text, "<header>\n<h1>");
  output_markup(text, history->info->job_name);
  pbt_text_add(text, "</h1>\n<p class=\"soft\">");
  output_markup(text, history->run);
  if (history->is_folder) {
    pbt_text_add(text, ": ");
    output_markup(text, run_state_text(&scene->state, state));
  }
  pbt_text_add(text, "</p>\n<div class=\"cards\">\n");
  if (scene->has_winner) {
    add_winner_cards(scene, text);
  }
  snprintf(value, sizeof value, "%lld", (long long)history->n_member);
  add_card(text, value, "members");
  snprintf(value, sizeof value, planned > 0 ? "%lld of %lld" : "%lld",
           (long long)history->n_generation, (long long)planned);
  add_card(text, value, "generations");
  add_card(text, output_seconds(history->elapsed[history->n_generation - 1], time),
           "of running, h:m:s");
  int64_t copies = 0;
  for (int64_t g = 0; g < history->n_generation; g++) {
    copies += history->commit[g].copies;
  }
  snprintf(value, sizeof value, "%lld", (long long)copies);
  add_card(text, value, "copies");
  pbt_text_add(text, "</div>\n</header>\n<main>\n");
}

/* ---- schedule ---- */

static void add_head_row(const struct history *history, struct pbt_text *text) {
  pbt_text_add(text, "<thead><tr><th>generations</th><th>member</th><th>fitness</th>");
  for (int32_t h = 0; h < history->n_hparam; h++) {
    pbt_text_add(text, "<th>");
    output_markup(text, history->hparam[h].name);
    pbt_text_add(text, "</th>");
  }
  pbt_text_add(text, "</tr></thead>");
}

static void add_schedule(const struct scene *scene, struct pbt_text *text) {
  const struct history *history = &scene->history;
  const struct ancestry *way = &scene->winner;
  enum { ROWS = 200 };
  int rows = 0;
  pbt_text_add(text, "<h2>The schedule that trained the winner</h2>\n<div "
                     "class=\"scroll tall\"><table id=\"schedule\">");
  add_head_row(history, text);
  pbt_text_add(text, "<tbody>\n");
  for (int64_t from = way->first, g = way->first; g <= way->last; g++) {
    bool ends = g == way->last || way->member[g] != way->member[g + 1] ||
                ancestry_values_change(history, way, g + 1);
    if (!ends) {
      continue;
    }
    int64_t at = history_at(history, g, way->member[g]);
    char number[OUTPUT_SHORT];
    if (rows++ < ROWS) {
      pbt_text_add(text, from < g ? "<tr><td>%lld - %lld</td>" : "<tr><td>%lld</td>",
                   (long long)from, (long long)g);
      pbt_text_add(text, "<td>%d</td><td>%s</td>", way->member[g],
                   output_short(history->fitness[at], number));
      for (int32_t h = 0; h < history->n_hparam; h++) {
        pbt_text_add(text, "<td>%s</td>",
                     output_short(history_effective(history, h, at), number));
      }
      pbt_text_add(text, "</tr>\n");
    }
    from = g + 1;
  }
  pbt_text_add(text, "</tbody></table></div>\n");
  if (rows > ROWS) {
    pbt_text_add(text,
                 "<p class=\"soft\">The first %d of %d stretches; pbt_lineage best "
                 "has all.</p>\n",
                 ROWS, rows);
  }
}

/* ---- figures ---- */

/* The <svg> of one width, with the class that the style sheet shows or hides. */
static pbt_status add_svg(const struct scene *scene, int figure, double width,
                          struct pbt_text *text) {
  static const char plain[] = "class=\"figure\"";
  struct pbt_text svg = {0};
  pbt_status status = scene_draw(scene, figure, width, false, &svg);
  status = status == PBT_OK ? svg.status : status;
  if (status == PBT_OK) {
    char *at = strstr(svg.data, plain);
    pbt_text_add_bytes(text, svg.data, (size_t)(at - svg.data));
    pbt_text_add(text, "class=\"figure figure-%s\"", width == NARROW ? "narrow" : "wide");
    const char *rest = at + sizeof plain - 1;
    pbt_text_add_bytes(text, rest, svg.length - (size_t)(rest - svg.data));
  }
  pbt_text_free(&svg);
  return status;
}

static pbt_status add_plot(const struct scene *scene, int figure, bool wide,
                           struct pbt_text *text) {
  pbt_text_add(text, "<figure class=\"plot%s\">\n", wide ? " wide" : "");
  PBT_TRY(add_svg(scene, figure, wide ? WIDE : HALF, text));
  PBT_TRY(add_svg(scene, figure, NARROW, text));
  pbt_text_add(text, "</figure>\n");
  return PBT_OK;
}

static pbt_status add_figures(const struct scene *scene, struct pbt_text *text) {
  enum { FITNESS, PHYLOGENY, ROOTS, COPIES, TIME };
  pbt_text_add(text,
               "<h2>Fitness</h2>\n<p class=\"soft needs-js\">Point at a curve to see who "
               "it is, click to follow its ancestry through all figures. With the "
               "keyboard: Tab to a figure, arrows for generations and ranks, Enter to "
               "follow, Escape to let go.</p>\n<div class=\"plots\">\n");
  PBT_TRY(add_plot(scene, FITNESS, true, text));
  pbt_text_add(text, "</div>\n<h2>Hyperparameters</h2>\n<div class=\"plots\">\n");
  for (int32_t h = 0; h < scene->history.n_hparam; h++) {
    PBT_TRY(add_plot(scene, SCENE_FIXED + h, false, text));
  }
  pbt_text_add(text, "</div>\n<h2>Descent</h2>\n<div class=\"plots\">\n");
  PBT_TRY(add_plot(scene, PHYLOGENY, true, text));
  PBT_TRY(add_plot(scene, COPIES, false, text));
  PBT_TRY(add_plot(scene, ROOTS, false, text));
  pbt_text_add(text, "</div>\n<h2>Time</h2>\n<div class=\"plots\">\n");
  PBT_TRY(add_plot(scene, TIME, true, text));
  pbt_text_add(text, "</div>\n");
  return PBT_OK;
}

/* ---- the rest ---- */

static void add_ancestry(const struct scene *scene, struct pbt_text *text) {
  pbt_text_add(text, "<section id=\"ancestry\" class=\"hidden\"><h2 id=\"whose\"></h2>\n"
                     "<div class=\"scroll tall\"><table id=\"way\">");
  add_head_row(&scene->history, text);
  pbt_text_add(text, "<tbody></tbody></table></div></section>\n");
}

static void add_launches(const struct scene *scene, struct pbt_text *text) {
  const struct history *history = &scene->history;
  pbt_text_add(text, "<h2>Launches</h2>\n<div class=\"scroll\"><table><thead><tr>"
                     "<th>started</th><th>from generation</th><th>ranks</th><th>host</th>"
                     "<th>device</th><th>SLURM job</th><th>program</th></tr></thead>\n");
  for (int64_t s = 0; s < history->n_start; s++) {
    const struct pbt_lineage_start *start = &history->start[s];
    const char *words[] = {start->host, start->device, start->job_id, start->git_id};
    pbt_text_add(text, "<tr><td>");
    output_markup(text, start->time);
    pbt_text_add(text, "</td><td>%lld</td><td>%d</td>", (long long)start->generation,
                 start->ranks);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
      pbt_text_add(text, "<td>");
      output_markup(text, words[i]);
      pbt_text_add(text, "</td>");
    }
    pbt_text_add(text, "</tr>\n");
  }
  pbt_text_add(text, "</table></div>\n<h2>The job</h2>\n<pre>");
  output_markup(text, history->info->job_text);
  pbt_text_add(text, "</pre>\n</main>\n");
}

static void add_asking(struct pbt_text *text) {
  pbt_text_add(
      text, "<section id=\"ask\" aria-label=\"Ask about a member\"><form id=\"asked\">\n"
            "<label>generation <input type=\"number\" id=\"generation\" min=\"0\" "
            "value=\"0\"></label>\n"
            "<label>member <input type=\"number\" id=\"member\" min=\"0\" "
            "value=\"0\"></label>\n"
            "<button type=\"submit\">follow</button>\n"
            "<button type=\"button\" id=\"to-winner\">winner</button>\n"
            "<button type=\"button\" id=\"clear\">clear</button>\n"
            "<output id=\"said\" aria-live=\"polite\"></output>\n</form></section>\n");
}

static pbt_status add_page(const struct scene *scene, struct pbt_text *text) {
  char now[24];
  add_head(scene, text);
  add_summary(scene, text);
  if (scene->has_winner) {
    add_schedule(scene, text);
  }
  PBT_TRY(add_figures(scene, text));
  add_ancestry(scene, text);
  add_launches(scene, text);
  add_asking(text);
  pbt_time_text(now, sizeof now);
  pbt_text_add(text, "<footer>Made by pbt_lineage report at %s from ", now);
  output_markup(text, scene->history.path);
  pbt_text_add(text, "; the run's program: ");
  output_markup(text, scene->history.info->version);
  pbt_text_add(text, ".</footer>\n<script type=\"application/json\" id=\"data\">");
  PBT_TRY(report_data(scene, text));
  pbt_text_add(text, "</script>\n<script>\n");
  pbt_text_add_bytes(text, pbt_page_js, strlen(pbt_page_js));
  pbt_text_add(text, "</script>\n</body>\n</html>\n");
  return PBT_OK;
}

pbt_status command_report(int n_word, char *word[]) {
  const char *file = NULL, *run;
  const struct option_spec spec[] = {{"--output", NULL, &file}, {"-o", NULL, &file}};
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("report", word, n_word, &run));
  struct scene scene;
  struct pbt_text text = {0};
  char path[PBT_PATH_BYTES];
  PBT_TRY(scene_open(run, &scene));
  pbt_status status = PBT_OK;
  if (file == NULL) {
    status =
        scene.history.is_folder
            ? pbt_path_join(path, scene.history.run, "report.html")
            : pbt_fail(PBT_ERR_USAGE, "report: where to? A bare lineage file needs -o");
    file = path;
  }
  status = status == PBT_OK ? add_page(&scene, &text) : status;
  status = status == PBT_OK ? output_write(&text, file) : status;
  if (status == PBT_OK && strcmp(file, "-") != 0) {
    printf("%s: %.1f MB\n", file, 1e-6 * (double)text.length);
  }
  pbt_text_free(&text);
  scene_close(&scene);
  return status;
}
