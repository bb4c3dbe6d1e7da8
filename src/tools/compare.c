/*
 * compare.c - runs side by side, at equal budgets.
 *
 * What a run had found is its best fitness within a budget: the most that every run of
 * the comparison has spent.  Groups of runs (seeds of the same job, as a rule) are tested
 * pair by pair.
 */
#include "base/memory.h"
#include "tools/commands.h"
#include "tools/history.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/statistics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum match { MATCH_WORK, MATCH_STEPS, MATCH_NONE, MATCHES };
static const char *const match_name[MATCHES] = {"work", "steps", "none"};
static const char *const match_text[MATCHES] = {"optimiser steps of all members together",
                                                "optimiser steps of each member",
                                                "whole runs"};

struct one {
  const char *run;
  int64_t group, n_member, n_generation;
  double *spent, *best, *elapsed; // [n_generation]: until then, in the measure of `match`
  double result;                  // best within the budget; NaN: nothing finite
  int64_t result_generation;
  int64_t reached; // first generation with the target, -1
};

struct pair {
  int64_t a, b;
  double difference, welch, mann_whitney, welch_holm, mann_whitney_holm;
};

struct comparison {
  struct one *one; // [n], group by group
  int64_t n, n_group;
  struct pair *pair;
  int64_t n_pair;
  char metric[64];
  bool maximize;
  enum match match;
  double budget; // infinite: none
  bool has_target;
  double target;
};

/* ---- what each run found ---- */

static double spent_by(const struct history *history, int64_t g, enum match match) {
  double all = 0.0, most = 0.0;
  for (int64_t m = 0; m < history->n_member; m++) {
    double steps = (double)history->steps[history_at(history, g, m)];
    all += steps;
    most = steps > most ? steps : most;
  }
  return match == MATCH_STEPS ? most : all;
}

static pbt_status same_question(struct comparison *it, const struct history *history) {
  if (it->metric[0] == '\0') {
    snprintf(it->metric, sizeof it->metric, "%s", history->info->metric);
    it->maximize = history->info->maximize;
  }
  if (strcmp(it->metric, history->info->metric) != 0 ||
      it->maximize != history->info->maximize) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s is scored by %s, the runs before it by %s: they cannot be "
                    "compared",
                    history->run, history->info->metric, it->metric);
  }
  return history->n_generation > 0
             ? PBT_OK
             : pbt_fail(PBT_ERR_DATA, "%s holds no committed generation yet",
                        history->path);
}

static pbt_status take(struct comparison *it, struct one *one,
                       const struct history *history) {
  PBT_TRY(same_question(it, history));
  one->n_member = history->n_member;
  one->n_generation = history->n_generation;
  PBT_TRY(PBT_NEW(one->n_generation, &one->spent));
  PBT_TRY(PBT_NEW(one->n_generation, &one->best));
  PBT_TRY(PBT_NEW(one->n_generation, &one->elapsed));
  double best = (double)NAN;
  one->reached = -1;
  for (int64_t g = 0; g < one->n_generation; g++) {
    for (int64_t m = 0; m < history->n_member; m++) {
      double fitness = history->fitness[history_at(history, g, m)];
      best = history_better(history, fitness, best) ? fitness : best;
    }
    one->spent[g] = spent_by(history, g, it->match);
    one->best[g] = best;
    one->elapsed[g] = history->elapsed[g];
    bool there = it->has_target &&
                 (best == it->target || history_better(history, best, it->target));
    one->reached = there && one->reached < 0 ? g : one->reached;
  }
  return PBT_OK;
}

/* The budget is what the run that spent least has spent. */
static pbt_status match_budgets(struct comparison *it) {
  it->budget = HUGE_VAL;
  for (int64_t i = 0; i < it->n && it->match != MATCH_NONE; i++) {
    double all = it->one[i].spent[it->one[i].n_generation - 1];
    it->budget = all < it->budget ? all : it->budget;
  }
  for (int64_t i = 0; i < it->n; i++) {
    struct one *one = &it->one[i];
    int64_t g = one->n_generation - 1;
    while (g >= 0 && one->spent[g] > it->budget) {
      g--;
    }
    if (g < 0) {
      return pbt_fail(PBT_ERR_DATA,
                      "%s spent more in its first generation than another run in all: "
                      "they cannot be compared at equal %s; see --match",
                      one->run, match_name[it->match]);
    }
    one->result = one->best[g];
    one->result_generation = g;
  }
  return PBT_OK;
}

/* ---- groups ---- */

/* The finite results of a group. */
static int64_t results_of(const struct comparison *it, int64_t group, double result[]) {
  int64_t n = 0;
  for (int64_t i = 0; i < it->n; i++) {
    if (it->one[i].group == group && isfinite(it->one[i].result)) {
      result[n++] = it->one[i].result;
    }
  }
  return n;
}

static pbt_status test_pair(const struct comparison *it, struct pair *pair,
                            double scratch[]) {
  struct mann_whitney u;
  int64_t n_a = results_of(it, pair->a, scratch);
  int64_t n_b = results_of(it, pair->b, scratch + n_a);
  pair->difference =
      statistics_moments(scratch, n_a).mean - statistics_moments(scratch + n_a, n_b).mean;
  pair->welch = statistics_welch(scratch, n_a, scratch + n_a, n_b).p;
  PBT_TRY(statistics_mann_whitney(scratch, n_a, scratch + n_a, n_b, &u));
  pair->mann_whitney = u.p;
  return PBT_OK;
}

static pbt_status correct(struct comparison *it, double scratch[]) {
  for (int64_t k = 0; k < it->n_pair; k++) {
    scratch[k] = it->pair[k].welch;
  }
  PBT_TRY(statistics_holm(scratch, it->n_pair));
  for (int64_t k = 0; k < it->n_pair; k++) {
    it->pair[k].welch_holm = scratch[k];
    scratch[k] = it->pair[k].mann_whitney;
  }
  PBT_TRY(statistics_holm(scratch, it->n_pair));
  for (int64_t k = 0; k < it->n_pair; k++) {
    it->pair[k].mann_whitney_holm = scratch[k];
  }
  return PBT_OK;
}

static pbt_status test_all(struct comparison *it) {
  double *scratch;
  int64_t n = it->n_group * (it->n_group - 1) / 2;
  PBT_TRY(PBT_NEW(n + 1, &it->pair));
  PBT_TRY(PBT_NEW(it->n + n, &scratch));
  pbt_status status = PBT_OK;
  for (int64_t a = 0; a < it->n_group && status == PBT_OK; a++) {
    for (int64_t b = a + 1; b < it->n_group && status == PBT_OK; b++) {
      struct pair *pair = &it->pair[it->n_pair++];
      *pair = (struct pair){.a = a, .b = b};
      status = test_pair(it, pair, scratch);
    }
  }
  status = status == PBT_OK ? correct(it, scratch) : status;
  pbt_mem_free(scratch);
  return status;
}

/* ---- for people ---- */

enum { GROUP_NAME = 32 };

static void group_name(int64_t group, char name[GROUP_NAME]) {
  snprintf(name, GROUP_NAME, group < 26 ? "%c" : "%c%lld", (char)('A' + group % 26),
           (long long)(group / 26));
}

static void print_runs(const struct comparison *it, struct pbt_text *text) {
  int width = 3;
  for (int64_t i = 0; i < it->n; i++) {
    int length = (int)strlen(it->one[i].run);
    width = length > width ? length : width;
  }
  pbt_text_add(text, "      %-*s  members  generations        best  at generation", width,
               "run");
  pbt_text_add(text, it->has_target ? "  reached at      after\n" : "\n");
  for (int64_t i = 0; i < it->n; i++) {
    const struct one *one = &it->one[i];
    char group[GROUP_NAME], best[OUTPUT_SHORT], time[OUTPUT_SHORT];
    group_name(one->group, group);
    pbt_text_add(text, "%4s  %-*s  %7lld  %11lld  %10s  %13lld", group, width, one->run,
                 (long long)one->n_member, (long long)one->n_generation,
                 output_short(one->result, best), (long long)one->result_generation);
    if (it->has_target && one->reached >= 0) {
      pbt_text_add(text, "  %10lld %10s", (long long)one->reached,
                   output_seconds(one->elapsed[one->reached], time));
    } else if (it->has_target) {
      pbt_text_add(text, "       never");
    }
    pbt_text_add(text, "\n");
  }
}

static void print_groups(const struct comparison *it, double scratch[],
                         struct pbt_text *text) {
  pbt_text_add(text, "\ngroup  runs        mean   deviation\n");
  for (int64_t g = 0; g < it->n_group; g++) {
    char name[GROUP_NAME], mean[OUTPUT_SHORT], deviation[OUTPUT_SHORT];
    int64_t n = results_of(it, g, scratch);
    struct sample_moments moments = statistics_moments(scratch, n);
    group_name(g, name);
    pbt_text_add(text, "%5s %5lld  %10s  %10s\n", name, (long long)n,
                 output_short(moments.mean, mean),
                 output_short(moments.deviation, deviation));
  }
  pbt_text_add(text,
               "\ndifference of means       Welch: p      Holm   Mann-Whitney: p      "
               "Holm\n");
  for (int64_t k = 0; k < it->n_pair; k++) {
    const struct pair *pair = &it->pair[k];
    char a[GROUP_NAME], b[GROUP_NAME], number[5][OUTPUT_SHORT];
    group_name(pair->a, a);
    group_name(pair->b, b);
    pbt_text_add(text, "%4s - %-4s %12s  %9s %9s         %9s %9s\n", a, b,
                 output_short(pair->difference, number[0]),
                 output_short(pair->welch, number[1]),
                 output_short(pair->welch_holm, number[2]),
                 output_short(pair->mann_whitney, number[3]),
                 output_short(pair->mann_whitney_holm, number[4]));
  }
}

static void print_people(const struct comparison *it, double scratch[],
                         struct pbt_text *text) {
  pbt_text_add(text, "Best validation %s (%s is better)", it->metric,
               it->maximize ? "more" : "less");
  if (it->match == MATCH_NONE) {
    pbt_text_add(text, " of whole runs");
  } else {
    pbt_text_add(text, " by %.0f %s", it->budget, match_text[it->match]);
  }
  if (it->has_target) {
    pbt_text_add(text, "; when was %g reached?", it->target);
  }
  pbt_text_add(text, "\n\n");
  print_runs(it, text);
  if (it->n_group > 1) {
    print_groups(it, scratch, text);
  }
}

/* ---- for programs ---- */

static void print_csv(const struct comparison *it, struct pbt_text *text) {
  pbt_text_add(text, "group,run,members,generations,best,best_generation,spent,seconds,"
                     "reached_generation,reached_spent,reached_seconds\n");
  for (int64_t i = 0; i < it->n; i++) {
    const struct one *one = &it->one[i];
    char group[GROUP_NAME];
    group_name(one->group, group);
    pbt_text_add(text, "%s,", group);
    output_csv_string(text, one->run);
    pbt_text_add(text, ",%lld,%lld,", (long long)one->n_member,
                 (long long)one->n_generation);
    output_csv_real(text, one->result);
    pbt_text_add(text, ",%lld,%.0f,", (long long)one->result_generation,
                 one->spent[one->result_generation]);
    output_csv_real(text, one->elapsed[one->result_generation]);
    if (one->reached >= 0) {
      pbt_text_add(text, ",%lld,%.0f,", (long long)one->reached,
                   one->spent[one->reached]);
      output_csv_real(text, one->elapsed[one->reached]);
      pbt_text_add(text, "\n");
    } else {
      pbt_text_add(text, ",,,\n");
    }
  }
}

static void json_pair(const struct pair *pair, struct pbt_text *text) {
  const struct {
    const char *name;
    double value;
  } field[] = {{"difference", pair->difference},
               {"welch_p", pair->welch},
               {"welch_holm", pair->welch_holm},
               {"mann_whitney_p", pair->mann_whitney},
               {"mann_whitney_holm", pair->mann_whitney_holm}};
  char a[GROUP_NAME], b[GROUP_NAME];
  group_name(pair->a, a);
  group_name(pair->b, b);
  pbt_text_add(text, "{\"a\": \"%s\", \"b\": \"%s\"", a, b);
  for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
    pbt_text_add(text, ", \"%s\": ", field[i].name);
    output_json_real(text, field[i].value);
  }
  pbt_text_add(text, "}");
}

static void json_run(const struct one *one, struct pbt_text *text) {
  char group[GROUP_NAME];
  group_name(one->group, group);
  pbt_text_add(text, "{\"group\": \"%s\", \"run\": ", group);
  output_json_string(text, one->run);
  pbt_text_add(text, ", \"members\": %lld, \"generations\": %lld, \"best\": ",
               (long long)one->n_member, (long long)one->n_generation);
  output_json_real(text, one->result);
  pbt_text_add(text, ", \"best_generation\": %lld, \"spent\": %.0f, \"seconds\": ",
               (long long)one->result_generation, one->spent[one->result_generation]);
  output_json_real(text, one->elapsed[one->result_generation]);
  if (one->reached >= 0) {
    pbt_text_add(text,
                 ", \"reached_generation\": %lld, \"reached_spent\": %.0f, "
                 "\"reached_seconds\": ",
                 (long long)one->reached, one->spent[one->reached]);
    output_json_real(text, one->elapsed[one->reached]);
  }
  pbt_text_add(text, "}");
}

static void print_json(const struct comparison *it, double scratch[],
                       struct pbt_text *text) {
  pbt_text_add(text, "{\"metric\": ");
  output_json_string(text, it->metric);
  pbt_text_add(text, ", \"maximize\": %s, \"match\": \"%s\", \"budget\": ",
               it->maximize ? "true" : "false", match_name[it->match]);
  output_json_real(text, it->budget);
  pbt_text_add(text, ",\n \"runs\": [");
  for (int64_t i = 0; i < it->n; i++) {
    pbt_text_add(text, i > 0 ? ",\n  " : "\n  ");
    json_run(&it->one[i], text);
  }
  pbt_text_add(text, "],\n \"groups\": [");
  for (int64_t g = 0; g < it->n_group; g++) {
    char name[GROUP_NAME];
    int64_t n = results_of(it, g, scratch);
    struct sample_moments moments = statistics_moments(scratch, n);
    group_name(g, name);
    pbt_text_add(text,
                 "%s{\"group\": \"%s\", \"runs\": %lld, \"mean\": ", g > 0 ? ", " : "",
                 name, (long long)n);
    output_json_real(text, moments.mean);
    pbt_text_add(text, ", \"deviation\": ");
    output_json_real(text, moments.deviation);
    pbt_text_add(text, "}");
  }
  pbt_text_add(text, "],\n \"pairs\": [");
  for (int64_t k = 0; k < it->n_pair; k++) {
    pbt_text_add(text, k > 0 ? ",\n  " : "\n  ");
    json_pair(&it->pair[k], text);
  }
  pbt_text_add(text, "]}\n");
}

/* ---- the command ---- */

static pbt_status load_all(struct comparison *it, int n_word, char *word[]) {
  PBT_TRY(PBT_NEW(n_word + 1, &it->one));
  for (int i = 0; i < n_word; i++) {
    if (strcmp(word[i], "--") == 0) {
      bool empty = it->n == 0 || it->one[it->n - 1].group != it->n_group;
      if (empty) {
        return pbt_fail(PBT_ERR_USAGE, "compare: a group between -- has no runs");
      }
      it->n_group++;
      continue;
    }
    struct one *one = &it->one[it->n++];
    struct history history;
    *one = (struct one){.run = word[i], .group = it->n_group};
    PBT_TRY(history_load(word[i], &history));
    pbt_status status = take(it, one, &history);
    history_free(&history);
    PBT_TRY(status);
  }
  if (it->n == 0 || it->one[it->n - 1].group != it->n_group) {
    return pbt_fail(PBT_ERR_USAGE, "compare: which runs? Name them, -- between groups");
  }
  it->n_group++;
  return PBT_OK;
}

static pbt_status run_comparison(struct comparison *it, int n_word, char *word[],
                                 bool csv, bool json) {
  struct pbt_text text = {0};
  double *scratch = NULL;
  PBT_TRY(load_all(it, n_word, word));
  PBT_TRY(match_budgets(it));
  PBT_TRY(test_all(it));
  PBT_TRY(PBT_NEW(it->n, &scratch));
  if (csv) {
    print_csv(it, &text);
  } else if (json) {
    print_json(it, scratch, &text);
  } else {
    print_people(it, scratch, &text);
  }
  pbt_mem_free(scratch);
  pbt_status status = output_write(&text, NULL);
  pbt_text_free(&text);
  return status;
}

static pbt_status parse_match(const char *name, enum match *match) {
  for (int i = 0; i < MATCHES; i++) {
    if (strcmp(name, match_name[i]) == 0) {
      *match = (enum match)i;
      return PBT_OK;
    }
  }
  return pbt_fail(PBT_ERR_USAGE, "--match %s: work, steps or none", name);
}

pbt_status command_compare(int n_word, char *word[]) {
  bool csv = false, json = false;
  const char *target = NULL, *match = "work";
  const struct option_spec spec[] = {{"--csv", &csv, NULL},
                                     {"--json", &json, NULL},
                                     {"--target", NULL, &target},
                                     {"--match", NULL, &match}};
  struct comparison it = {0};
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(parse_match(match, &it.match));
  if (csv && json) {
    return pbt_fail(PBT_ERR_USAGE, "compare: --csv or --json, not both");
  }
  if (target != NULL) {
    PBT_TRY(option_real("--target", target, &it.target));
    it.has_target = true;
  }
  pbt_status status = run_comparison(&it, n_word, word, csv, json);
  for (int64_t i = 0; it.one != NULL && i < it.n; i++) {
    pbt_mem_free(it.one[i].spent);
    pbt_mem_free(it.one[i].best);
    pbt_mem_free(it.one[i].elapsed);
  }
  pbt_mem_free(it.pair);
  pbt_mem_free(it.one);
  return status;
}
