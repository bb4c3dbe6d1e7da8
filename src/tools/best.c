/*
 * best.c - the winner's ancestry and the hyperparameter schedule along it: what PBT gives
 * that a random search does not.
 */
#include "base/memory.h"
#include "tools/ancestry.h"
#include "tools/commands.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/replay_job.h"

#include <string.h>

/* How the state came into generation g of a way. */
static const char *arrival(const struct history *history, const struct ancestry *way,
                           int64_t g) {
  if (g == way->first) {
    return g == 0 ? "first weights" : "restarted";
  }
  int32_t here = way->member[g], before = way->member[g - 1];
  enum pbt_event event = (enum pbt_event)history->event[history_at(history, g - 1, here)];
  return here == before ? pbt_event_name(PBT_KEPT) : pbt_event_name(event);
}

static enum pbt_move move_into(const struct history *history, const struct ancestry *way,
                               int64_t g, int32_t hparam) {
  return g == way->first && g == 0
             ? PBT_MOVE_NONE
             : (enum pbt_move)
                   history->move[hparam][history_at(history, g - 1, way->member[g])];
}

/* ---- for people ---- */

static void print_values(const struct history *history, const struct ancestry *way,
                         int64_t g, struct pbt_text *text) {
  int64_t at = history_at(history, g, way->member[g]);
  char fitness[OUTPUT_SHORT];
  pbt_text_add(text, "  %6d  %10s", way->member[g],
               output_short(history->fitness[at], fitness));
  for (int32_t h = 0; h < history->n_hparam; h++) {
    pbt_text_add(text, "  %14.6g", history_effective(history, h, at));
  }
}

static void print_table(const struct history *history, const struct ancestry *way,
                        bool each, struct pbt_text *text) {
  pbt_text_add(text, "\n  generations  member     fitness");
  for (int32_t h = 0; h < history->n_hparam; h++) {
    pbt_text_add(text, "  %14s", history->hparam[h].name);
  }
  pbt_text_add(text, "\n");
  for (int64_t from = way->first, g = way->first; g <= way->last; g++) {
    bool ends = each || g == way->last || way->member[g] != way->member[g + 1] ||
                ancestry_values_change(history, way, g + 1);
    if (!ends) {
      continue;
    }
    pbt_text_add(text, " %5lld - %4lld", (long long)from, (long long)g);
    print_values(history, way, g, text);
    const char *how = arrival(history, way, from);
    if (from > way->first && way->member[from] != way->member[from - 1]) {
      pbt_text_add(text, "  %s from %d", how, way->member[from - 1]);
    } else if (strcmp(how, "kept") != 0) {
      pbt_text_add(text, "  %s", how);
    }
    pbt_text_add(text, "\n");
    from = g + 1;
  }
}

static void print_people(const struct history *history, const struct ancestry *way,
                         bool each, bool winner, struct pbt_text *text) {
  char fitness[OUTPUT_SHORT];
  int64_t at = history_at(history, way->last, way->member[way->last]);
  pbt_text_add(text, "%s: member %d in generation %lld, %s %s\n",
               winner ? "Winner" : "Asked for", way->member[way->last],
               (long long)way->last, history->info->metric,
               output_short(history->fitness[at], fitness));
  pbt_text_add(text, "Its state goes back to member %d in generation %lld.\n",
               way->member[way->first], (long long)way->first);
  print_table(history, way, each, text);
  pbt_text_add(text, "\nFitness is that of the stretch's last generation; values hold "
                     "during all of it.\n");
  if (winner && history->n_hparam > 0) {
    pbt_text_add(text,
                 "\nTo train with this schedule alone:\n"
                 "  pbt_lineage best %s --job > replay.toml\n"
                 "  mpirun -np RANKS pbt_mpi replay.toml\n",
                 history->run);
  }
}

/* ---- for programs ---- */

static void print_csv(const struct history *history, const struct ancestry *way,
                      struct pbt_text *text) {
  pbt_text_add(text, "generation,member,arrived,steps,fitness");
  for (int32_t h = 0; h < history->n_hparam; h++) {
    pbt_text_add(text, ",");
    output_csv_string(text, history->hparam[h].name);
  }
  pbt_text_add(text, "\n");
  for (int64_t g = way->first; g <= way->last; g++) {
    int64_t at = history_at(history, g, way->member[g]);
    pbt_text_add(text, "%lld,%d,%s,%lld,", (long long)g, way->member[g],
                 arrival(history, way, g), (long long)history->steps[at]);
    output_csv_real(text, history->fitness[at]);
    for (int32_t h = 0; h < history->n_hparam; h++) {
      pbt_text_add(text, ",");
      output_csv_real(text, history_effective(history, h, at));
    }
    pbt_text_add(text, "\n");
  }
}

static void json_row(const struct history *history, const struct ancestry *way, int64_t g,
                     struct pbt_text *text) {
  int64_t at = history_at(history, g, way->member[g]);
  pbt_text_add(text,
               "%s\n  {\"generation\": %lld, \"member\": %d, \"arrived\": \"%s\", "
               "\"steps\": %lld, \"fitness\": ",
               g > way->first ? "," : "", (long long)g, way->member[g],
               arrival(history, way, g), (long long)history->steps[at]);
  output_json_real(text, history->fitness[at]);
  pbt_text_add(text, ", \"value\": {");
  for (int32_t h = 0; h < history->n_hparam; h++) {
    pbt_text_add(text, "%s", h > 0 ? ", " : "");
    output_json_string(text, history->hparam[h].name);
    pbt_text_add(text, ": ");
    output_json_real(text, history_effective(history, h, at));
  }
  pbt_text_add(text, "}, \"move\": {");
  for (int32_t h = 0; h < history->n_hparam; h++) {
    pbt_text_add(text, "%s", h > 0 ? ", " : "");
    output_json_string(text, history->hparam[h].name);
    pbt_text_add(text, ": \"%s\"", pbt_move_name(move_into(history, way, g, h)));
  }
  pbt_text_add(text, "}}");
}

static void print_json(const struct history *history, const struct ancestry *way,
                       struct pbt_text *text) {
  pbt_text_add(text, "{\"job\": ");
  output_json_string(text, history->info->job_name);
  pbt_text_add(text, ", \"metric\": ");
  output_json_string(text, history->info->metric);
  pbt_text_add(text,
               ", \"member\": %d, \"generation\": %lld, \"first\": %lld,\n"
               " \"schedule\": [",
               way->member[way->last], (long long)way->last, (long long)way->first);
  for (int64_t g = way->first; g <= way->last; g++) {
    json_row(history, way, g, text);
  }
  pbt_text_add(text, "]}\n");
}

/* ---- whose ---- */

/* --member M and --generation G, either left out, or the winner. */
static pbt_status choose(const struct history *history, const char *member,
                         const char *generation, struct ancestry *way) {
  if (member == NULL && generation == NULL) {
    return ancestry_of_winner(history, way);
  }
  long long m = 0, g = history->n_generation - 1;
  if (member == NULL) {
    return pbt_fail(PBT_ERR_USAGE, "--generation says when; --member must say whose");
  }
  PBT_TRY(option_integer("--member", member, &m));
  if (generation != NULL) {
    PBT_TRY(option_integer("--generation", generation, &g));
  }
  if (m >= history->n_member || g < 0 || g >= history->n_generation) {
    return pbt_fail(PBT_ERR_USAGE,
                    "there is no member %lld in generation %lld: %s has %lld members and "
                    "%lld generations",
                    m, g, history->path, (long long)history->n_member,
                    (long long)history->n_generation);
  }
  return ancestry_open(history, g, (int32_t)m, way);
}

pbt_status command_best(int n_word, char *word[]) {
  bool schedule = false, csv = false, json = false, job = false;
  const char *member = NULL, *generation = NULL, *run;
  const struct option_spec spec[] = {
      {"--schedule", &schedule, NULL}, {"--csv", &csv, NULL},
      {"--json", &json, NULL},         {"--job", &job, NULL},
      {"--member", NULL, &member},     {"--generation", NULL, &generation}};
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("best", word, n_word, &run));
  if (csv + json + job > 1) {
    return pbt_fail(PBT_ERR_USAGE, "best: one of --csv, --json and --job");
  }
  struct history history;
  PBT_TRY(history_load(run, &history));
  struct ancestry way = {0};
  struct pbt_text text = {0};
  pbt_status status = choose(&history, member, generation, &way);
  if (status == PBT_OK && csv) {
    print_csv(&history, &way, &text);
  } else if (status == PBT_OK && json) {
    print_json(&history, &way, &text);
  } else if (status == PBT_OK && job) {
    status = replay_job(&history, &way, &text);
  } else if (status == PBT_OK) {
    print_people(&history, &way, schedule, member == NULL, &text);
  }
  if (status == PBT_OK) {
    status = output_write(&text, NULL);
  }
  pbt_text_free(&text);
  ancestry_free(&way);
  history_free(&history);
  return status;
}
