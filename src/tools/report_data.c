/*
 * report_data.c - the lineage inside the page: JSON whose tables are base64.
 *
 * Fitness is there for every member and generation; parents and hyperparameters only
 * where they changed, which in a population that copies a quarter is a quarter of them.
 */
#include "tools/report_data.h"

#include "base/memory.h"
#include "tools/output.h"

#include <string.h>

static const char digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* `bytes` at `data` as base64 in quotes, from little-endian memory as it lies. */
static void add_base64(struct pbt_text *text, const void *data, size_t bytes) {
  const unsigned char *at = data;
  char piece[4096];
  size_t n = 0;
  pbt_text_add_bytes(text, "\"", 1);
  for (size_t i = 0; i < bytes; i += 3) {
    uint32_t word = (uint32_t)at[i] << 16;
    word |= i + 1 < bytes ? (uint32_t)at[i + 1] << 8 : 0;
    word |= i + 2 < bytes ? at[i + 2] : 0;
    piece[n++] = digit[word >> 18];
    piece[n++] = digit[word >> 12 & 63];
    piece[n++] = i + 1 < bytes ? digit[word >> 6 & 63] : '=';
    piece[n++] = i + 2 < bytes ? digit[word & 63] : '=';
    if (n == sizeof piece) {
      pbt_text_add_bytes(text, piece, n);
      n = 0;
    }
  }
  pbt_text_add_bytes(text, piece, n);
  pbt_text_add_bytes(text, "\"", 1);
}

/* A JSON string that cannot end a <script>. */
static void add_string(struct pbt_text *text, const char *string) {
  struct pbt_text json = {0};
  output_json_string(&json, string);
  for (size_t i = 0; i < json.length; i++) {
    if (json.data[i] == '<') {
      pbt_text_add(text, "\\u003c");
    } else {
      pbt_text_add_bytes(text, json.data + i, 1);
    }
  }
  pbt_text_free(&json);
}

struct changes {
  int32_t *count;           // [generation]: members that differ from the one before
  int32_t *member, *parent; // [n]; -1 for restarted
  float *value;             // [n_hparam, n]
  float *cell;              // [size], for conversions
  int64_t n;
};

static bool differs(const struct history *history, int64_t g, int64_t m) {
  int64_t now = history_at(history, g, m), before = history_at(history, g - 1, m);
  bool other = history->parent[before] != m;
  for (int32_t h = 0; h < history->n_hparam && !other; h++) {
    other = history->value[h][now] != history->value[h][before];
  }
  return other;
}

static pbt_status find_changes(const struct history *history, struct changes *it) {
  PBT_TRY(PBT_NEW(history->n_generation, &it->count));
  for (int64_t g = 1; g < history->n_generation; g++) {
    for (int64_t m = 0; m < history->n_member; m++) {
      it->count[g] += differs(history, g, m);
    }
    it->n += it->count[g];
  }
  PBT_TRY(PBT_NEW(it->n + 1, &it->member));
  PBT_TRY(PBT_NEW(it->n + 1, &it->parent));
  PBT_TRY(PBT_NEW(it->n * history->n_hparam + 1, &it->value));
  PBT_TRY(PBT_NEW(history->size, &it->cell));
  int64_t k = 0;
  for (int64_t g = 1; g < history->n_generation; g++) {
    for (int64_t m = 0; m < history->n_member; m++) {
      if (!differs(history, g, m)) {
        continue;
      }
      it->member[k] = (int32_t)m;
      it->parent[k] = history->parent[history_at(history, g - 1, m)];
      for (int32_t h = 0; h < history->n_hparam; h++) {
        it->value[h * it->n + k] = (float)history->value[h][history_at(history, g, m)];
      }
      k++;
    }
  }
  return PBT_OK;
}

static void add_floats(struct pbt_text *text, const double value[], int64_t n,
                       float cell[]) {
  for (int64_t i = 0; i < n; i++) {
    cell[i] = (float)value[i];
  }
  add_base64(text, cell, (size_t)n * sizeof *cell);
}

static void add_hparam(const struct scene *scene, const struct changes *changes,
                       int32_t h, struct pbt_text *text) {
  const struct history *history = &scene->history;
  const struct pbt_hparam *hparam = &history->hparam[h];
  char name[SCENE_NAME];
  scene_name(scene, SCENE_FIXED + h, name);
  pbt_text_add(text, "{\"name\":");
  add_string(text, hparam->name);
  pbt_text_add(text, ",\"figure\":\"%s\"", name);
  if (hparam->kind == PBT_CHOICE) {
    for (int32_t i = 0; i < hparam->n_option; i++) {
      pbt_text_add(text, i == 0 ? ",\"options\":[" : ",");
      output_json_real(text, hparam->option[i]);
    }
    pbt_text_add(text, hparam->n_option > 0 ? "]" : "");
  }
  pbt_text_add(text, ",\"first\":");
  add_floats(text, history->value[h], history->n_member, changes->cell);
  pbt_text_add(text, ",\"changed\":");
  add_base64(text, changes->value + h * changes->n, (size_t)changes->n * sizeof(float));
  pbt_text_add(text, "}");
}

static void add_all(const struct scene *scene, const struct changes *changes,
                    struct pbt_text *text) {
  const struct history *history = &scene->history;
  pbt_text_add(text, "{\"generations\":%lld,\"members\":%lld,\"maximize\":%s,\"metric\":",
               (long long)history->n_generation, (long long)history->n_member,
               history->info->maximize ? "true" : "false");
  add_string(text, history->info->metric);
  if (scene->has_winner) {
    pbt_text_add(text, ",\"winner\":[%lld,%d]", (long long)scene->winner.last,
                 scene->winner.member[scene->winner.last]);
  }
  pbt_text_add(text, ",\n\"fitness\":");
  add_floats(text, history->fitness, history->size, changes->cell);
  pbt_text_add(text, ",\n\"count\":");
  add_base64(text, changes->count, (size_t)history->n_generation * sizeof(int32_t));
  pbt_text_add(text, ",\n\"member\":");
  add_base64(text, changes->member, (size_t)changes->n * sizeof(int32_t));
  pbt_text_add(text, ",\n\"parent\":");
  add_base64(text, changes->parent, (size_t)changes->n * sizeof(int32_t));
  pbt_text_add(text, ",\n\"hparams\":[");
  for (int32_t h = 0; h < history->n_hparam; h++) {
    pbt_text_add(text, h > 0 ? ",\n" : "\n");
    add_hparam(scene, changes, h, text);
  }
  pbt_text_add(text, "]}");
}

pbt_status report_data(const struct scene *scene, struct pbt_text *text) {
  struct changes changes = {0};
  pbt_status status = find_changes(&scene->history, &changes);
  if (status == PBT_OK) {
    add_all(scene, &changes, text);
  }
  pbt_mem_free(changes.count);
  pbt_mem_free(changes.member);
  pbt_mem_free(changes.parent);
  pbt_mem_free(changes.value);
  pbt_mem_free(changes.cell);
  return status;
}
