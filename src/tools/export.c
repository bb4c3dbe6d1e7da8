/*
 * export.c - the lineage for other programs: CSV, JSON lines, TensorBoard.
 */
#include "base/memory.h"
#include "tools/ancestry.h"
#include "tools/commands.h"
#include "tools/option.h"
#include "tools/output.h"
#include "tools/tensorboard.h"
#include "tools/time_share.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- rows ---- */

static const struct {
  const char *name;
  size_t offset;
} real[] = {
    {"fitness", offsetof(struct pbt_lineage_row, fitness)},
    {"validation_loss", offsetof(struct pbt_lineage_row, validation_loss)},
    {"validation_accuracy", offsetof(struct pbt_lineage_row, validation_accuracy)},
    {"validation_macro_f1", offsetof(struct pbt_lineage_row, validation_macro_f1)},
    {"training_loss", offsetof(struct pbt_lineage_row, training_loss)},
};
enum { REALS = sizeof real / sizeof *real };

static double real_of(const struct pbt_lineage_row *row, int i) {
  double value;
  memcpy(&value, (const char *)row + real[i].offset, sizeof value);
  return value;
}

/* What the rows of a generation share. */
struct generation {
  const struct pbt_lineage_shape *shape;
  int64_t number;
  char time[32];
};

typedef void write_row(const struct generation *generation, int64_t member,
                       const struct pbt_lineage_row *row, struct pbt_text *text);

static void csv_head(const struct pbt_lineage_shape *shape, struct pbt_text *text) {
  pbt_text_add(text, "generation,member,unix_time,steps");
  for (int i = 0; i < REALS; i++) {
    pbt_text_add(text, ",%s", real[i].name);
  }
  pbt_text_add(text, ",parent,event,digest_before,digest_after");
  for (int p = 0; p < PBT_PHASES; p++) {
    pbt_text_add(text, ",seconds/%s", time_share_phase((enum pbt_phase)p));
  }
  static const char *const group[] = {"hparam", "hparam_next", "hparam_move"};
  for (int32_t h = 0; h < shape->n_hparam; h++) {
    for (int i = 0; i < 3; i++) {
      pbt_text_add(text, ",%s/%s", group[i], shape->hparam[h].name);
    }
  }
  pbt_text_add(text, "\n");
}

static void csv_reals(struct pbt_text *text, const double value[], int n) {
  for (int i = 0; i < n; i++) {
    output_string(text, ",");
    output_csv_real(text, value[i]);
  }
}

static void csv_row(const struct generation *generation, int64_t member,
                    const struct pbt_lineage_row *row, struct pbt_text *text) {
  output_integer(text, generation->number);
  output_string(text, ",");
  output_integer(text, member);
  output_string(text, ",");
  output_string(text, generation->time);
  output_string(text, ",");
  output_integer(text, row->steps);
  for (int i = 0; i < REALS; i++) {
    double value = real_of(row, i);
    csv_reals(text, &value, 1);
  }
  output_string(text, ",");
  output_integer(text, row->parent);
  output_string(text, ",");
  output_string(text, pbt_event_name((enum pbt_event)row->event));
  output_string(text, ",");
  output_hex(text, row->digest_before);
  output_string(text, ",");
  output_hex(text, row->digest_after);
  csv_reals(text, row->seconds, PBT_PHASES);
  for (int32_t h = 0; h < generation->shape->n_hparam; h++) {
    const struct pbt_hparam *hparam = &generation->shape->hparam[h];
    const double value[] = {pbt_hparam_effective(hparam, row->value[h]),
                            pbt_hparam_effective(hparam, row->next[h])};
    csv_reals(text, value, 2);
    output_string(text, ",");
    output_string(text, pbt_move_name((enum pbt_move)row->move[h]));
  }
  output_string(text, "\n");
}

static void json_name(struct pbt_text *text, const char *before, const char *name) {
  output_string(text, before);
  output_string(text, name);
  output_string(text, "\": ");
}

static void json_hparam(const struct pbt_hparam *hparam,
                        const struct pbt_lineage_row *row, int32_t h,
                        struct pbt_text *text) {
  output_json_string(text, hparam->name);
  output_string(text, ": {\"value\": ");
  output_json_real(text, pbt_hparam_effective(hparam, row->value[h]));
  output_string(text, ", \"next\": ");
  output_json_real(text, pbt_hparam_effective(hparam, row->next[h]));
  output_string(text, ", \"move\": \"");
  output_string(text, pbt_move_name((enum pbt_move)row->move[h]));
  output_string(text, "\"}");
}

static void json_row(const struct generation *generation, int64_t member,
                     const struct pbt_lineage_row *row, struct pbt_text *text) {
  output_string(text, "{\"generation\": ");
  output_integer(text, generation->number);
  output_string(text, ", \"member\": ");
  output_integer(text, member);
  output_string(text, ", \"unix_time\": ");
  output_string(text, generation->time);
  output_string(text, ", \"steps\": ");
  output_integer(text, row->steps);
  for (int i = 0; i < REALS; i++) {
    json_name(text, ", \"", real[i].name);
    output_json_real(text, real_of(row, i));
  }
  output_string(text, ", \"parent\": ");
  output_integer(text, row->parent);
  output_string(text, ", \"event\": \"");
  output_string(text, pbt_event_name((enum pbt_event)row->event));
  output_string(text, "\", \"digest_before\": \"");
  output_hex(text, row->digest_before);
  output_string(text, "\", \"digest_after\": \"");
  output_hex(text, row->digest_after);
  output_string(text, "\", \"seconds\": {");
  for (int p = 0; p < PBT_PHASES; p++) {
    json_name(text, p > 0 ? ", \"" : "\"", time_share_phase((enum pbt_phase)p));
    output_json_real(text, row->seconds[p]);
  }
  output_string(text, "}, \"hparam\": {");
  for (int32_t h = 0; h < generation->shape->n_hparam; h++) {
    output_string(text, h > 0 ? ", " : "");
    json_hparam(&generation->shape->hparam[h], row, h, text);
  }
  output_string(text, "}}\n");
}

/* ---- to a file that appears whole, a generation at a time ---- */

static pbt_status flush(struct pbt_text *text, FILE *file, const char *path) {
  PBT_TRY(text->status);
  bool fine = fwrite(text->data, 1, text->length, file) == text->length;
  text->length = 0;
  return fine ? PBT_OK : pbt_fail_errno(PBT_ERR_IO, "cannot write %s", path);
}

static pbt_status write_rows(const char *lineage, write_row *put, FILE *file,
                             const char *path) {
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  struct pbt_lineage_row *row = NULL;
  struct pbt_lineage_commit commit;
  struct pbt_text text = {0};
  PBT_TRY(pbt_lineage_open(lineage, &reader, &shape));
  pbt_status status = PBT_NEW(shape.n_member, &row);
  if (status == PBT_OK && put == csv_row) {
    csv_head(&shape, &text);
    status = flush(&text, file, path);
  }
  for (int64_t g = 0; status == PBT_OK && g < shape.n_generation; g++) {
    history_patience(true);
    status = pbt_lineage_read(reader, g, row, &commit);
    struct generation generation = {.shape = &shape, .number = commit.generation};
    snprintf(generation.time, sizeof generation.time, "%.6f", commit.unix_time);
    for (int64_t m = 0; status == PBT_OK && m < shape.n_member; m++) {
      put(&generation, m, &row[m], &text);
    }
    status = status == PBT_OK ? flush(&text, file, path) : status;
  }
  history_patience(false);
  pbt_text_free(&text);
  pbt_mem_free(row);
  pbt_lineage_reader_close(reader);
  return status;
}

static pbt_status export_rows(const char *run, write_row *put, const char *path) {
  char lineage[PBT_PATH_BYTES], partial[PBT_PATH_BYTES];
  bool is_folder;
  PBT_TRY(history_find(run, lineage, &is_folder));
  if (path == NULL || strcmp(path, "-") == 0) {
    pbt_status status = write_rows(lineage, put, stdout, "to standard output");
    bool fine = fflush(stdout) == 0;
    return status != PBT_OK || fine
               ? status
               : pbt_fail_errno(PBT_ERR_IO, "cannot write to standard output");
  }
  if (snprintf(partial, sizeof partial, "%s.tmp", path) >= PBT_PATH_BYTES) {
    return pbt_fail(PBT_ERR_USAGE, "the path is too long: %s", path);
  }
  FILE *file = fopen(partial, "we");
  if (file == NULL) {
    return pbt_fail_errno(PBT_ERR_IO, "cannot create %s", partial);
  }
  pbt_status status = write_rows(lineage, put, file, partial);
  bool fine = fflush(file) == 0 && fsync(fileno(file)) == 0;
  fine = fclose(file) == 0 && fine;
  if (status == PBT_OK && !fine) {
    status = pbt_fail_errno(PBT_ERR_IO, "cannot write %s", partial);
  }
  if (status == PBT_OK) {
    return pbt_file_rename(partial, path);
  }
  unlink(partial);
  return status;
}

/* ---- TensorBoard ---- */

enum { TAG_BYTES = PBT_HPARAM_NAME + 16, MAX_TAGS = REALS + PBT_PHASES + PBT_MAX_HPARAM };

struct tags {
  struct tensorboard_scalar scalar[MAX_TAGS];
  char name[MAX_TAGS][TAG_BYTES];
  size_t n;
};

static void add_tag(struct tags *tags, const char *group, const char *name,
                    double value) {
  struct tensorboard_scalar *one = &tags->scalar[tags->n];
  snprintf(tags->name[tags->n], TAG_BYTES, "%s%.*s", group, PBT_HPARAM_NAME, name);
  *one = (struct tensorboard_scalar){tags->name[tags->n], (float)value};
  tags->n++;
}

static void collect(const struct history *history, int64_t at, struct tags *tags) {
  tags->n = 0;
  add_tag(tags, "", "fitness", history->fitness[at]);
  add_tag(tags, "validation/", "loss", history->loss[at]);
  add_tag(tags, "validation/", "accuracy", history->accuracy[at]);
  add_tag(tags, "validation/", "macro_f1", history->macro_f1[at]);
  add_tag(tags, "training/", "loss", history->training_loss[at]);
  for (int32_t h = 0; h < history->n_hparam; h++) {
    add_tag(tags, "hparam/", history->hparam[h].name, history_effective(history, h, at));
  }
  for (int p = 0; p < PBT_PHASES; p++) {
    add_tag(tags, "seconds/", time_share_phase((enum pbt_phase)p),
            history->seconds[p][at]);
  }
}

/* One run of TensorBoard's: a member through all generations, or a way (member NULL). */
static pbt_status write_events(const struct history *history, const char *folder,
                               const char *name, int64_t member,
                               const struct ancestry *way) {
  char sub[PBT_PATH_BYTES], path[PBT_PATH_BYTES], file[128];
  struct pbt_text events = {0};
  struct tags tags;
  double begin = history->commit[0].unix_time;
  snprintf(file, sizeof file, "events.out.tfevents.%010lld.%.60s.pbt", (long long)begin,
           history->n_start > 0 ? history->start[0].host : "host");
  PBT_TRY(pbt_path_join(sub, folder, name));
  PBT_TRY(pbt_path_join(path, sub, file));
  PBT_TRY(pbt_file_make_folders(sub));
  tensorboard_begin(&events, begin);
  int64_t from = way != NULL ? way->first : 0;
  int64_t to = way != NULL ? way->last : history->n_generation - 1;
  for (int64_t g = from; g <= to; g++) {
    int64_t at = history_at(history, g, way != NULL ? way->member[g] : member);
    collect(history, at, &tags);
    tensorboard_add(&events, history->commit[g].unix_time, history->steps[at],
                    tags.scalar, tags.n);
  }
  pbt_status status = output_write(&events, path);
  pbt_text_free(&events);
  return status;
}

static pbt_status write_all(const struct history *history, const char *folder) {
  if (history->n_generation == 0) {
    return pbt_fail(PBT_ERR_DATA, "%s holds no committed generation yet", history->path);
  }
  for (int64_t m = 0; m < history->n_member; m++) {
    char name[32];
    snprintf(name, sizeof name, "member-%05lld", (long long)m);
    PBT_TRY(write_events(history, folder, name, m, NULL));
  }
  struct ancestry way;
  pbt_status status = ancestry_of_winner(history, &way);
  if (status == PBT_ERR_DATA) {
    pbt_error_clear(); // no winner: no path to it
    return PBT_OK;
  }
  if (status == PBT_OK) {
    status = write_events(history, folder, "winner", 0, &way);
  }
  ancestry_free(&way);
  return status;
}

static pbt_status export_events(const char *run, const char *folder) {
  struct history history;
  PBT_TRY(history_load(run, &history));
  pbt_status status = write_all(&history, folder);
  history_free(&history);
  return status;
}

pbt_status command_export(int n_word, char *word[]) {
  bool csv = false, jsonl = false;
  const char *tensorboard = NULL, *path = NULL, *run;
  const struct option_spec spec[] = {{"--csv", &csv, NULL},
                                     {"--jsonl", &jsonl, NULL},
                                     {"--tensorboard", NULL, &tensorboard},
                                     {"--output", NULL, &path},
                                     {"-o", NULL, &path}};
  PBT_TRY(option_take(spec, sizeof spec / sizeof *spec, word, &n_word));
  PBT_TRY(option_one("export", word, n_word, &run));
  if (csv + jsonl + (tensorboard != NULL) != 1) {
    return pbt_fail(PBT_ERR_USAGE,
                    "export: as what? One of --csv, --jsonl and --tensorboard DIR");
  }
  if (tensorboard != NULL) {
    return path == NULL ? export_events(run, tensorboard)
                        : pbt_fail(PBT_ERR_USAGE, "export: --tensorboard takes no -o");
  }
  return export_rows(run, csv ? csv_row : json_row, path);
}
