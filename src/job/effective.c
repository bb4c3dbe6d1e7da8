/* The effective job as text, and what changed between two of them. */
#include "job/draft.h"

#include "job/spell.h"

#include <stdio.h>
#include <string.h>

/* ---- the effective job ---- */

enum { REMARK_COLUMN = 40 };

static void print_line(const struct pbt_key *key, const void *base, bool given,
                       struct pbt_text *text) {
  size_t begin = text->length;
  pbt_text_add(text, "%s = ", pbt_key_last(key->name));
  pbt_key_render(key, base, text);
  if (!given) {
    int used = (int)(text->length - begin);
    pbt_text_add(text, "%*s# default", used < REMARK_COLUMN ? REMARK_COLUMN - used : 1,
                 "");
  }
  pbt_text_add(text, "\n");
}

static bool searched(const struct pbt_job *job, const char *key) {
  size_t n;
  const struct pbt_tunable *tunable = pbt_job_tunables(&n);
  for (size_t t = 0; t < n; t++) {
    for (int32_t i = 0; i < job->search.n && strcmp(tunable[t].key, key) == 0; i++) {
      if (strcmp(job->search.hparam[i].name, tunable[t].name) == 0) {
        return true;
      }
    }
  }
  return false;
}

/* Of alternatives only the one in use is not 0. */
static bool in_use(const struct pbt_key *key, const struct pbt_job *job) {
  const void *value = (const char *)job + key->offset;
  if (key->alternative > 0) {
    return key->type == PBT_KEY_REAL ? *(const double *)value > 0
                                     : *(const int64_t *)value > 0;
  }
  return pbt_key_applies(key, job) && !searched(job, key->name);
}

static void print_search(const struct pbt_draft *draft, const struct pbt_job *job,
                         struct pbt_text *text) {
  size_t n;
  const struct pbt_key *key = &pbt_job_keys(&n)[pbt_key_index("search.NAME.kind")];
  for (int32_t i = 0; i < job->search.n; i++) {
    const struct pbt_hparam *hparam = &job->search.hparam[i];
    pbt_text_add(text, "\n[search.%s]\n", hparam->name);
    for (int f = 0; f < PBT_N_FIELD; f++) {
      bool absent = (f == PBT_FIELD_START && hparam->n_start == 0) ||
                    (f == PBT_FIELD_SCHEDULE && hparam->n_schedule == 0);
      if (pbt_key_applies(&key[f], hparam) && !absent) {
        print_line(&key[f], hparam, draft->search[i].field[f].given, text);
      }
    }
  }
}

pbt_status pbt_job_effective(const struct pbt_job_source *source,
                             const struct pbt_job *job, struct pbt_text *text) {
  struct pbt_draft draft;
  PBT_TRY(pbt_draft_build(source, &draft));
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  const char *table = "";
  size_t length = 0;
  bool headed = true; // a table without a key in use is not named
  for (size_t k = 0; k < n; k++) {
    size_t inside = pbt_key_parent(key[k].name);
    bool new_table = inside != length || strncmp(key[k].name, table, length) != 0;
    if (new_table) {
      table = key[k].name;
      length = inside;
    }
    if (new_table && key[k].of_hparam) {
      print_search(&draft, job, text);
    } else if (new_table) {
      headed = false;
    }
    if (!key[k].of_hparam && in_use(&key[k], job)) {
      if (!headed) {
        pbt_text_add(text, "\n[%.*s]\n", (int)length, table);
        headed = true;
      }
      print_line(&key[k], job, draft.origin[k].given, text);
    }
  }
  return text->status;
}

/* ---- the difference ---- */

static void render_scalar(const struct pbt_toml_entry *e, struct pbt_text *text) {
  char number[PBT_NUMBER_TEXT];
  switch (e->type) {
  case PBT_TOML_STRING:
    pbt_spell_string(text, e->string);
    break;
  case PBT_TOML_INTEGER:
    pbt_text_add(text, "%lld", (long long)e->integer);
    break;
  case PBT_TOML_FLOAT:
    pbt_spell_real(e->real, number);
    pbt_text_add(text, "%s", number);
    break;
  case PBT_TOML_BOOLEAN:
    pbt_text_add(text, "%s", e->boolean ? "true" : "false");
    break;
  default:
    pbt_text_add(text, "?");
    break;
  }
}

static void render_entry(const struct pbt_toml_entry *e, struct pbt_text *text) {
  if (e->type != PBT_TOML_ARRAY) {
    render_scalar(e, text);
    return;
  }
  pbt_text_add(text, "[");
  for (int32_t i = 0; i < e->n_item; i++) {
    pbt_text_add(text, "%s", i > 0 ? ", " : "");
    render_scalar(&e[1 + i], text);
  }
  pbt_text_add(text, "]");
}

static const struct pbt_toml_entry *find(const struct pbt_toml *toml, const char *key) {
  for (size_t i = 0; i < toml->n; i++) {
    if (strcmp(toml->entry[i].key, key) == 0) {
      return &toml->entry[i];
    }
  }
  return NULL;
}

/* What a key is where a text does not name it: its default, as it has no meaning there or
 * as the text is older than the key. */
static void render_absent(const char *name, struct pbt_text *text) {
  size_t n;
  int tunable;
  int k = pbt_key_find(name, &tunable);
  const struct pbt_key *key = k >= 0 ? &pbt_job_keys(&n)[k] : NULL;
  if (key == NULL || key->of_hparam || key->required || key->computed != NULL) {
    pbt_text_add(text, "(none)");
    return;
  }
  struct pbt_job job = {0};
  pbt_key_reset(key, &job);
  pbt_key_render(key, &job, text);
}

static bool counts(const struct pbt_toml_entry *e) {
  size_t n;
  int tunable;
  if (e->type == PBT_TOML_TABLE || strchr(e->key, '[') != NULL) {
    return false;
  }
  int k = pbt_key_find(e->key, &tunable);
  return k < 0 || !pbt_job_keys(&n)[k].may_change;
}

static void compare(const struct pbt_toml_entry *old, const struct pbt_toml_entry *new,
                    struct pbt_text *lines) {
  struct pbt_text a = {0}, b = {0};
  const char *key = old != NULL ? old->key : new->key;
  old != NULL ? render_entry(old, &a) : render_absent(key, &a);
  new != NULL ? render_entry(new, &b) : render_absent(key, &b);
  lines->status = a.status != PBT_OK ? a.status : b.status;
  if (lines->status == PBT_OK && strcmp(a.data, b.data) != 0) {
    pbt_text_add(lines, "%s: %s -> %s\n", key, a.data, b.data);
  }
  pbt_text_free(&a);
  pbt_text_free(&b);
}

static pbt_status read_back(const char *text, struct pbt_toml *toml) {
  struct pbt_toml_error error;
  pbt_status status = pbt_toml_parse(text, strlen(text), toml, &error);
  if (status == PBT_ERR_DATA) {
    return pbt_fail(status, "an effective job cannot be read: line %d: %s", error.line,
                    error.what);
  }
  return status;
}

pbt_status pbt_job_difference(const char *before, const char *after,
                              struct pbt_text *lines) {
  struct pbt_toml old = {0}, new = {0};
  pbt_status status;
  PBT_TRY_TO(done, status, read_back(before, &old));
  PBT_TRY_TO(done, status, read_back(after, &new));
  for (size_t i = 0; i < new.n && lines->status == PBT_OK; i++) {
    if (counts(&new.entry[i])) {
      compare(find(&old, new.entry[i].key), &new.entry[i], lines);
    }
  }
  for (size_t i = 0; i < old.n && lines->status == PBT_OK; i++) {
    if (counts(&old.entry[i]) && find(&new, old.entry[i].key) == NULL) {
      compare(&old.entry[i], NULL, lines);
    }
  }
  status = lines->status;
done:
  pbt_toml_free(&old);
  pbt_toml_free(&new);
  return status;
}
