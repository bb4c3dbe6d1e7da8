/*
 * summary.c - a run on one screen: what, how far, how good, who copied, where the time
 * went and who waited for whom.
 */
#include "base/memory.h" // scratch
#include "tools/ancestry.h"
#include "tools/commands.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/run_state.h"
#include "tools/time_share.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SOME_ROWS = 20, SOME_MEMBERS = 32 };

struct view {
  struct history history;
  struct forest forest;
  struct ancestry winner;
  bool has_winner;
  struct run_state state;
  struct time_share *share; // [n_member]
  double *scratch;          // [n_member]
};

static pbt_status load(const char *run, struct view *it) {
  PBT_TRY(history_load(run, &it->history));
  PBT_TRY(forest_grow(&it->history, &it->forest));
  it->has_winner = ancestry_of_winner(&it->history, &it->winner) == PBT_OK;
  pbt_error_clear();
  run_state_read(&it->history, &it->state);
  PBT_TRY(PBT_NEW(it->history.n_member, &it->scratch));
  PBT_TRY(PBT_NEW(it->history.n_member, &it->share));
  time_share_of(&it->history, it->share);
  return PBT_OK;
}

static void unload(struct view *it) {
  pbt_mem_free(it->share);
  pbt_mem_free(it->scratch);
  ancestry_free(&it->winner);
  forest_free(&it->forest);
  history_free(&it->history);
}

static double total_seconds(const struct history *history) {
  return history->n_generation > 0 ? history->elapsed[history->n_generation - 1] : 0.0;
}

/* ---- for people ---- */

static void print_head(const struct view *it, struct pbt_text *text) {
  const struct history *history = &it->history;
  char state[256], time[OUTPUT_SHORT], planned[32] = "";
  int64_t of = history_planned(history);
  if (of > 0) {
    snprintf(planned, sizeof planned, " of %lld", (long long)of);
  }
  pbt_text_add(text, "%s: %lld members, %lld%s generations%s%s\n",
               history->info->job_name, (long long)history->n_member,
               (long long)history->n_generation, planned, history->is_folder ? "; " : "",
               history->is_folder ? run_state_text(&it->state, state) : "");
  pbt_text_add(text, "  fitness   validation %s, %s is better; seed %llu\n",
               history->info->metric, history->info->maximize ? "more" : "less",
               (unsigned long long)history->info->seed);
  for (int32_t h = 0; h < history->n_hparam; h++) {
    const struct pbt_hparam *hparam = &history->hparam[h];
    pbt_text_add(text, "%s%s (%s", h == 0 ? "  searched  " : ", ", hparam->name,
                 pbt_kind_name(hparam->kind));
    if (hparam->kind == PBT_CHOICE) {
      pbt_text_add(text, " of %d)", hparam->n_option);
    } else {
      pbt_text_add(text, " %g to %g)", hparam->low, hparam->high);
    }
  }
  pbt_text_add(text, "%s", history->n_hparam > 0 ? "\n" : "");
  for (int64_t s = 0; s < history->n_start; s++) {
    const struct pbt_lineage_start *start = &history->start[s];
    pbt_text_add(
        text, "  %s %s from generation %lld: %d rank%s on %s, %s%s%s, %s\n",
        s == 0 ? "started  " : "resumed  ", start->time, (long long)start->generation,
        start->ranks, start->ranks == 1 ? "" : "s", start->host, start->device,
        start->job_id[0] != '\0' ? ", SLURM job " : "", start->job_id, start->git_id);
  }
  pbt_text_add(text, "  took      %s\n", output_seconds(total_seconds(history), time));
}

static void print_way(const struct ancestry *way, struct pbt_text *text) {
  enum { SOME = 12 };
  int64_t n = 0, shown = 0;
  for (int64_t g = way->first; g <= way->last; g = ancestry_stretch(way, g) + 1) {
    n++;
  }
  for (int64_t g = way->first; g <= way->last;) {
    int64_t end = ancestry_stretch(way, g);
    if (shown < SOME / 2 || shown >= n - SOME / 2) {
      pbt_text_add(text, "%s%d (%lld-%lld)", shown > 0 ? " > " : "", way->member[g],
                   (long long)g, (long long)end);
    } else if (shown == SOME / 2) {
      pbt_text_add(text, " > ... %lld more ...", (long long)(n - SOME));
    }
    shown++;
    g = end + 1;
  }
  pbt_text_add(text, "\n");
}

static void print_winner(const struct view *it, struct pbt_text *text) {
  const struct history *history = &it->history;
  if (!it->has_winner) {
    pbt_text_add(text, "\nNo winner%s.\n",
                 history->n_generation == 0 ? " yet: no generation is complete"
                                            : ": no member ever had a finite score");
    return;
  }
  int64_t g = it->winner.last;
  int64_t at = history_at(history, g, it->winner.member[g]);
  pbt_text_add(text, "\nWinner: member %d in generation %lld, after %lld steps\n",
               it->winner.member[g], (long long)g, (long long)history->steps[at]);
  pbt_text_add(text, "  validation  accuracy %.4f, loss %.4f, macro-F1 %.4f\n",
               history->accuracy[at], history->loss[at], history->macro_f1[at]);
  if (it->state.tested) {
    double test = run_state_test(&it->state, history);
    double gap = history->fitness[at] - test;
    pbt_text_add(text,
                 "  test        accuracy %.4f, loss %.4f, macro-F1 %.4f (%.0f images)\n",
                 it->state.test_accuracy, it->state.test_loss, it->state.test_macro_f1,
                 it->state.test_count);
    pbt_text_add(text, "  gap         %s on validation is %.4f %s than on test\n",
                 history->info->metric, fabs(gap), gap >= 0 ? "higher" : "lower");
  } else {
    pbt_text_add(text, "  test        not scored yet\n");
  }
  pbt_text_add(text, "  ancestry    ");
  print_way(&it->winner, text);
}

static void print_generations(const struct view *it, bool all, struct pbt_text *text) {
  const struct history *history = &it->history;
  int64_t n = history->n_generation, rows = all || n <= SOME_ROWS ? n : SOME_ROWS;
  char best[OUTPUT_SHORT], median[OUTPUT_SHORT], worst[OUTPUT_SHORT];
  if (n == 0) {
    return;
  }
  pbt_text_add(text,
               "\n   gen     steps       best     median      worst  copied  diverged  "
               "restarted  roots\n");
  for (int64_t row = 0; row < rows; row++) {
    int64_t g = rows == n ? row : row * (n - 1) / (rows - 1);
    struct history_spread spread = history_spread(history, g, it->scratch);
    struct history_events events = history_events(history, g);
    pbt_text_add(text, "%6lld %9lld %10s %10s %10s %7lld %9lld %10lld %6lld\n",
                 (long long)g, (long long)history->steps[history_at(history, g, 0)],
                 output_short(spread.best, best), output_short(spread.median, median),
                 output_short(spread.worst, worst), (long long)events.copies,
                 (long long)events.event[PBT_DIVERGED],
                 (long long)events.event[PBT_RESTARTED], (long long)it->forest.roots[g]);
  }
  if (rows < n) {
    pbt_text_add(text, "  (%lld of %lld generations; --all shows each)\n",
                 (long long)rows, (long long)n);
  }
}

static void print_time(const struct view *it, struct pbt_text *text) {
  const struct history *history = &it->history;
  int64_t n = history->n_member < SOME_MEMBERS ? history->n_member : SOME_MEMBERS;
  if (history->n_generation == 0) {
    return;
  }
  pbt_text_add(
      text, "\nmember     train  evaluate  exchange    record      idle      seconds   "
            "last to arrive\n");
  for (int64_t row = -1; row < n; row++) {
    struct time_share share =
        row < 0 ? time_share_sum(it->share, history->n_member) : it->share[row];
    if (row < 0) {
      pbt_text_add(text, "   all");
    } else {
      pbt_text_add(text, "%6lld", (long long)row);
    }
    for (int p = 0; p < PBT_PHASES; p++) {
      double percent = share.total > 0.0 ? 100.0 * share.seconds[p] / share.total : 0.0;
      pbt_text_add(text, " %8.1f%%", percent);
    }
    pbt_text_add(text, " %12.1f", share.total);
    if (row >= 0) {
      pbt_text_add(text, "   %lld times, others waited %.1f s", (long long)share.last,
                   share.others_waited);
    }
    pbt_text_add(text, "\n");
  }
  if (n < history->n_member) {
    pbt_text_add(text, "  (the first %lld of %lld members; --json has all)\n",
                 (long long)n, (long long)history->n_member);
  }
}

/* ---- for programs ---- */

static void json_generations(const struct view *it, struct pbt_text *text) {
  const struct history *history = &it->history;
  pbt_text_add(text, ",\n \"by_generation\": [");
  for (int64_t g = 0; g < history->n_generation; g++) {
    struct history_spread spread = history_spread(history, g, it->scratch);
    struct history_events events = history_events(history, g);
    pbt_text_add(text, "%s\n  {\"generation\": %lld, \"best\": ", g > 0 ? "," : "",
                 (long long)g);
    output_json_real(text, spread.best);
    pbt_text_add(text, ", \"median\": ");
    output_json_real(text, spread.median);
    pbt_text_add(text, ", \"worst\": ");
    output_json_real(text, spread.worst);
    pbt_text_add(
        text,
        ", \"copies\": %lld, \"diverged\": %lld, \"restarted\": %lld, \"roots\": "
        "%lld, \"ancestors\": %lld, \"seconds\": ",
        (long long)events.copies, (long long)events.event[PBT_DIVERGED],
        (long long)events.event[PBT_RESTARTED], (long long)it->forest.roots[g],
        (long long)it->forest.ancestors[g]);
    output_json_real(text, history->elapsed[g]);
    pbt_text_add(text, "}");
  }
  pbt_text_add(text, "]");
}

static void json_time(const struct view *it, struct pbt_text *text) {
  pbt_text_add(text, ",\n \"time\": [");
  for (int64_t m = 0; m < it->history.n_member; m++) {
    const struct time_share *share = &it->share[m];
    pbt_text_add(text, "%s\n  {\"member\": %lld", m > 0 ? "," : "", (long long)m);
    for (int p = 0; p < PBT_PHASES; p++) {
      pbt_text_add(text, ", \"%s\": ", time_share_phase((enum pbt_phase)p));
      output_json_real(text, share->seconds[p]);
    }
    pbt_text_add(text, ", \"last\": %lld, \"others_waited\": ", (long long)share->last);
    output_json_real(text, share->others_waited);
    pbt_text_add(text, "}");
  }
  pbt_text_add(text, "]");
}

static void json_winner(const struct view *it, struct pbt_text *text) {
  const struct history *history = &it->history;
  pbt_text_add(text, ",\n \"winner\": ");
  if (!it->has_winner) {
    pbt_text_add(text, "null");
    return;
  }
  int64_t g = it->winner.last;
  int64_t at = history_at(history, g, it->winner.member[g]);
  const struct {
    const char *name;
    double value;
  } score[] = {
      {"fitness", history->fitness[at]},
      {"validation_accuracy", history->accuracy[at]},
      {"validation_loss", history->loss[at]},
      {"validation_macro_f1", history->macro_f1[at]},
      {"test_accuracy", it->state.tested ? it->state.test_accuracy : (double)NAN},
      {"test_loss", it->state.tested ? it->state.test_loss : (double)NAN},
      {"test_macro_f1", it->state.tested ? it->state.test_macro_f1 : (double)NAN},
      {"gap", history->fitness[at] - run_state_test(&it->state, history)},
  };
  pbt_text_add(text, "{\"member\": %d, \"generation\": %lld, \"steps\": %lld",
               it->winner.member[g], (long long)g, (long long)history->steps[at]);
  for (size_t i = 0; i < sizeof score / sizeof *score; i++) {
    pbt_text_add(text, ", \"%s\": ", score[i].name);
    output_json_real(text, score[i].value);
  }
  pbt_text_add(text, "}");
}

static void print_json(const struct view *it, struct pbt_text *text) {
  const struct history *history = &it->history;
  char state[256];
  pbt_text_add(text, "{\"job\": ");
  output_json_string(text, history->info->job_name);
  pbt_text_add(text, ", \"metric\": ");
  output_json_string(text, history->info->metric);
  pbt_text_add(text, ", \"state\": ");
  output_json_string(text,
                     history->is_folder ? run_state_text(&it->state, state) : "unknown");
  pbt_text_add(
      text,
      ",\n \"maximize\": %s, \"seed\": %llu, \"members\": %lld, \"generations\": "
      "%lld, \"planned\": %lld, \"launches\": %lld, \"seconds\": ",
      history->info->maximize ? "true" : "false", (unsigned long long)history->info->seed,
      (long long)history->n_member, (long long)history->n_generation,
      (long long)history_planned(history), (long long)history->n_start);
  output_json_real(text, total_seconds(history));
  json_winner(it, text);
  json_generations(it, text);
  json_time(it, text);
  pbt_text_add(text, "}\n");
}

pbt_status command_summary(int n_word, char *word[]) {
  bool all = false, json = false;
  const struct option_spec spec[] = {{"--all", &all, NULL}, {"--json", &json, NULL}};
  const char *run;
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("summary", word, n_word, &run));
  struct view view = {0};
  struct pbt_text text = {0};
  pbt_status status = load(run, &view);
  if (status == PBT_OK && json) {
    print_json(&view, &text);
  } else if (status == PBT_OK) {
    print_head(&view, &text);
    print_winner(&view, &text);
    print_generations(&view, all, &text);
    print_time(&view, &text);
  }
  if (status == PBT_OK) {
    status = output_write(&text, NULL);
  }
  pbt_text_free(&text);
  unload(&view);
  return status;
}
