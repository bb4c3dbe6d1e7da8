#include "job/draft.h"

#include "job/spell.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- messages ---- */

pbt_status pbt_draft_fail(const struct pbt_draft *draft, const struct pbt_origin *origin,
                          const char *format, ...) {
  char what[PBT_ERROR_BYTES];
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  if (origin->set != NULL) {
    char quote[PBT_QUOTE];
    pbt_spell_quote(origin->set, strlen(origin->set), quote);
    return pbt_fail(PBT_ERR_DATA, "--set %s: %s", quote, what);
  }
  const char *path = draft->source->path;
  return pbt_fail(PBT_ERR_DATA, "%s:%d:%d: %s", path != NULL ? path : "built-in job",
                  origin->line > 0 ? origin->line : 1,
                  origin->column > 0 ? origin->column : 1, what);
}

static pbt_status fail_allowed(const struct pbt_draft *draft,
                               const struct pbt_origin *origin, const struct pbt_key *key,
                               const char *what) {
  struct pbt_text allowed = {0};
  pbt_key_allowed(key, &allowed);
  pbt_status status = allowed.status;
  if (status == PBT_OK) {
    status = pbt_draft_fail(draft, origin, "%s; it must be %s", what, allowed.data);
  }
  pbt_text_free(&allowed);
  return status;
}

static pbt_status fail_type(const struct pbt_draft *draft,
                            const struct pbt_origin *origin, const struct pbt_key *key,
                            const struct pbt_toml_entry *e) {
  static const char *const name[] = {"a table",       "an array", "a string",
                                     "an integer",    "a float",  "true or false",
                                     "a date or time"};
  char what[160];
  snprintf(what, sizeof what, "`%.80s` is %s", e->key, name[e->type]);
  return fail_allowed(draft, origin, key, what);
}

static pbt_status fail_range(const struct pbt_draft *draft,
                             const struct pbt_origin *origin, const struct pbt_key *key,
                             const struct pbt_toml_entry *e) {
  char what[160], number[PBT_NUMBER_TEXT];
  if (e->type == PBT_TOML_INTEGER) {
    snprintf(number, sizeof number, "%lld", (long long)e->integer);
  } else {
    pbt_spell_number(e->real, number);
  }
  snprintf(what, sizeof what, "`%.80s` = %s is not allowed", e->key, number);
  return fail_allowed(draft, origin, key, what);
}

/* ---- storing one value ---- */

struct slot {
  const struct pbt_key *key;
  void *base;                // the struct the key's offsets are into
  struct pbt_origin *origin; // where to note that it was given
};

static void *value_of(const struct slot *slot) {
  return (char *)slot->base + slot->key->offset;
}

/* Item i of an array, or the text itself. */
static pbt_status store_text(const struct pbt_draft *draft, const struct slot *slot,
                             size_t i, const struct pbt_toml_entry *e,
                             const struct pbt_origin *from) {
  const struct pbt_key *key = slot->key;
  if (e->type != PBT_TOML_STRING) {
    return fail_type(draft, from, key, e);
  }
  if (!pbt_spell_is_plain(e->string, e->bytes)) {
    return pbt_draft_fail(draft, from, "`%s` must be UTF-8 without control characters",
                          key->name);
  }
  if (e->bytes >= key->bytes) {
    return pbt_draft_fail(draft, from, "`%s` is %zu bytes long; at most %zu fit",
                          key->name, e->bytes, key->bytes - 1);
  }
  bool may_be_empty = key->fallback_text != NULL && key->fallback_text[0] == '\0';
  if (e->bytes == 0 && !may_be_empty) {
    return pbt_draft_fail(draft, from, "`%s` must not be empty", key->name);
  }
  char *to = (char *)value_of(slot) + i * key->bytes;
  memset(to, 0, key->bytes);
  memcpy(to, e->string, e->bytes);
  return PBT_OK;
}

static pbt_status store_word(const struct pbt_draft *draft, const struct slot *slot,
                             const struct pbt_toml_entry *e,
                             const struct pbt_origin *from) {
  const struct pbt_key *key = slot->key;
  if (e->type != PBT_TOML_STRING) {
    return fail_type(draft, from, key, e);
  }
  for (int w = 0; w < key->n_word; w++) {
    if (strlen(key->word[w]) == e->bytes && strcmp(key->word[w], e->string) == 0) {
      *(int *)value_of(slot) = w;
      return PBT_OK;
    }
  }
  char quote[PBT_QUOTE];
  pbt_spell_quote(e->string, e->bytes, quote);
  const char *near = pbt_text_nearest(e->string, key->word, (size_t)key->n_word);
  struct pbt_text allowed = {0};
  pbt_key_allowed(key, &allowed);
  pbt_status status = allowed.status;
  if (status == PBT_OK) {
    status = pbt_draft_fail(draft, from,
                            "`%.80s` = \"%s\" is unknown; it must be %s%s%s%s", e->key,
                            quote, allowed.data, near != NULL ? "; did you mean `" : "",
                            near != NULL ? near : "", near != NULL ? "`?" : "");
  }
  pbt_text_free(&allowed);
  return status;
}

/* Item i of an array, or the number itself. */
static pbt_status store_number(const struct pbt_draft *draft, const struct slot *slot,
                               size_t i, const struct pbt_toml_entry *e,
                               const struct pbt_origin *from) {
  const struct pbt_key *key = slot->key;
  bool real = key->type == PBT_KEY_REAL || key->type == PBT_KEY_REALS;
  if (key->zero != NULL && e->type == PBT_TOML_STRING &&
      strcmp(e->string, key->zero) == 0) {
    *(int32_t *)value_of(slot) = 0;
    return PBT_OK;
  }
  if (e->type != PBT_TOML_INTEGER && !(real && e->type == PBT_TOML_FLOAT)) {
    return fail_type(draft, from, key, e);
  }
  if (!pbt_range_has(&key->range, e->real) || (key->not_one && e->real == 1)) {
    return fail_range(draft, from, key, e);
  }
  switch (key->type) {
  case PBT_KEY_INTEGER:
    *(int64_t *)value_of(slot) = e->integer;
    break;
  case PBT_KEY_SEED:
    *(uint64_t *)value_of(slot) = (uint64_t)e->integer;
    break;
  case PBT_KEY_INT32:
  case PBT_KEY_INT32S:
    ((int32_t *)value_of(slot))[i] = (int32_t)e->integer;
    break;
  default:
    ((double *)value_of(slot))[i] = e->real;
    break;
  }
  return PBT_OK;
}

static pbt_status store_items(const struct pbt_draft *draft, const struct slot *slot,
                              const struct pbt_toml_entry *e,
                              const struct pbt_origin *from) {
  const struct pbt_key *key = slot->key;
  if (e->type != PBT_TOML_ARRAY) {
    return fail_type(draft, from, key, e);
  }
  if (e->n_item < key->least || e->n_item > key->most) {
    char what[160];
    snprintf(what, sizeof what, "`%.80s` has %d items", e->key, e->n_item);
    return fail_allowed(draft, from, key, what);
  }
  pbt_key_reset(key, slot->base);
  for (int32_t i = 0; i < e->n_item; i++) {
    struct pbt_origin item = *from;
    item.line = e[1 + i].line;
    item.column = e[1 + i].column;
    pbt_status (*store_item)(const struct pbt_draft *, const struct slot *, size_t,
                             const struct pbt_toml_entry *, const struct pbt_origin *) =
        key->type == PBT_KEY_TEXTS ? store_text : store_number;
    PBT_TRY(store_item(draft, slot, (size_t)i, &e[1 + i], &item));
  }
  *(int32_t *)((char *)slot->base + key->count_offset) = e->n_item;
  return PBT_OK;
}

static pbt_status store_flag(const struct pbt_draft *draft, const struct slot *slot,
                             const struct pbt_toml_entry *e,
                             const struct pbt_origin *from) {
  if (e->type != PBT_TOML_BOOLEAN) {
    return fail_type(draft, from, slot->key, e);
  }
  *(bool *)value_of(slot) = e->boolean;
  return PBT_OK;
}

static pbt_status store(const struct pbt_draft *draft, const struct slot *slot,
                        const struct pbt_toml_entry *e, const struct pbt_origin *from) {
  switch (slot->key->type) {
  case PBT_KEY_TEXT:
    return store_text(draft, slot, 0, e, from);
  case PBT_KEY_WORD:
    return store_word(draft, slot, e, from);
  case PBT_KEY_FLAG:
    return store_flag(draft, slot, e, from);
  case PBT_KEY_TEXTS:
  case PBT_KEY_REALS:
  case PBT_KEY_INT32S:
    return store_items(draft, slot, e, from);
  default:
    return store_number(draft, slot, 0, e, from);
  }
}

/* ---- which value an entry means ---- */

static struct pbt_hparam *open_search(struct pbt_draft *draft, int tunable,
                                      const struct pbt_origin *from, int32_t *at) {
  struct pbt_job *job = &draft->job;
  for (*at = 0; *at < job->search.n; (*at)++) {
    if (draft->search[*at].tunable == tunable) {
      return &job->search.hparam[*at];
    }
  }
  struct pbt_hparam *hparam = &job->search.hparam[job->search.n++];
  memset(hparam, 0, sizeof *hparam);
  memset(&draft->search[*at], 0, sizeof draft->search[*at]);
  size_t n;
  snprintf(hparam->name, sizeof hparam->name, "%s", pbt_job_tunables(&n)[tunable].name);
  hparam->line = from->line;
  hparam->column = from->column;
  draft->search[*at].tunable = tunable;
  draft->search[*at].origin = *from;
  return hparam;
}

static struct slot slot_of(struct pbt_draft *draft, int k, int tunable,
                           const struct pbt_origin *from) {
  size_t n;
  const struct pbt_key *key = &pbt_job_keys(&n)[k];
  if (!key->of_hparam) {
    return (struct slot){key, &draft->job, &draft->origin[k]};
  }
  int32_t at;
  struct pbt_hparam *hparam = open_search(draft, tunable, from, &at);
  int field = k - pbt_key_index("search.NAME.kind");
  return (struct slot){key, hparam, &draft->search[at].field[field]};
}

/* Of keys that exclude each other the file may give one; --set drops the others. */
static pbt_status settle_alternatives(struct pbt_draft *draft, int k,
                                      const struct pbt_origin *from) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  for (int other = 0; other < (int)n && key[k].alternative > 0; other++) {
    if (other == k || key[other].alternative != key[k].alternative ||
        !draft->origin[other].given) {
      continue;
    }
    if (from->set == NULL) {
      return pbt_draft_fail(draft, from, "`%s` and `%s` are both given; keep one",
                            key[other].name, key[k].name);
    }
    pbt_key_reset(&key[other], &draft->job);
    draft->origin[other] = (struct pbt_origin){0};
  }
  return PBT_OK;
}

/* [search.NAME] or the inline table of a --set begins. */
static pbt_status open_table(struct pbt_draft *draft, const char *dotted,
                             const struct pbt_origin *from) {
  if (!pbt_is_table(dotted)) {
    return pbt_draft_unknown(draft, from, dotted, true);
  }
  if (strncmp(dotted, "search.", 7) == 0) {
    size_t n;
    const struct pbt_tunable *tunable = pbt_job_tunables(&n);
    for (int t = 0; t < (int)n; t++) {
      if (strcmp(tunable[t].name, dotted + 7) == 0) {
        int32_t at;
        open_search(draft, t, from, &at);
      }
    }
  }
  return PBT_OK;
}

static pbt_status apply(struct pbt_draft *draft, const struct pbt_toml *toml,
                        const char *set) {
  for (size_t i = 0; i < toml->n; i++) {
    const struct pbt_toml_entry *e = &toml->entry[i];
    struct pbt_origin at_key = {true, set, e->key_line, e->key_column};
    struct pbt_origin at_value = {true, set, e->line, e->column};
    int tunable;
    int k = pbt_key_find(e->key, &tunable);
    if (k < 0 && e->type == PBT_TOML_TABLE) {
      PBT_TRY(open_table(draft, e->key, &at_key));
      continue;
    }
    if (k < 0) {
      return pbt_draft_unknown(draft, &at_key, e->key, false);
    }
    struct slot slot = slot_of(draft, k, tunable, &at_key);
    PBT_TRY(store(draft, &slot, e, &at_value));
    PBT_TRY(settle_alternatives(draft, k, &at_value));
    *slot.origin = at_value;
    i += e->type == PBT_TOML_ARRAY ? (size_t)e->n_item : 0;
  }
  return PBT_OK;
}

/* ---- the file and the command line ---- */

static pbt_status apply_file(struct pbt_draft *draft) {
  const struct pbt_job_source *source = draft->source;
  const char *text = source->path != NULL ? source->text : pbt_job_builtin();
  size_t bytes = source->path != NULL ? source->bytes : strlen(text);
  struct pbt_origin start = {0};
  if (bytes > PBT_JOB_LIMIT) {
    return pbt_draft_fail(draft, &start, "the job has %zu bytes; at most %d are read",
                          bytes, PBT_JOB_LIMIT);
  }
  struct pbt_toml toml;
  struct pbt_toml_error error;
  pbt_status status = pbt_toml_parse(text, bytes, &toml, &error);
  if (status == PBT_ERR_DATA) {
    struct pbt_origin at = {true, NULL, error.line, error.column};
    return pbt_draft_fail(draft, &at, "%s", error.what);
  }
  if (status == PBT_OK) {
    status = apply(draft, &toml, NULL);
    pbt_toml_free(&toml);
  }
  return status;
}

/* --set search.lr = { ... } replaces all of it, not only what it names. */
static void clear_under(struct pbt_draft *draft, const char *dotted) {
  size_t n, length = strlen(dotted);
  const struct pbt_key *key = pbt_job_keys(&n);
  for (size_t k = 0; k < n; k++) {
    if (!key[k].of_hparam && strncmp(key[k].name, dotted, length) == 0 &&
        key[k].name[length] == '.') {
      pbt_key_reset(&key[k], &draft->job);
      draft->origin[k] = (struct pbt_origin){0};
    }
  }
  struct pbt_job *job = &draft->job;
  for (int32_t i = job->search.n - 1; i >= 0; i--) {
    char name[sizeof "search." + PBT_HPARAM_NAME];
    snprintf(name, sizeof name, "search.%s", job->search.hparam[i].name);
    if (strcmp(dotted, "search") == 0 || strcmp(dotted, name) == 0) {
      pbt_draft_drop_search(draft, i);
    }
  }
}

void pbt_draft_drop_search(struct pbt_draft *draft, int32_t i) {
  struct pbt_job *job = &draft->job;
  size_t after = (size_t)(--job->search.n - i);
  memmove(&job->search.hparam[i], &job->search.hparam[i + 1],
          after * sizeof job->search.hparam[0]);
  memmove(&draft->search[i], &draft->search[i + 1], after * sizeof draft->search[0]);
  memset(&job->search.hparam[job->search.n], 0, sizeof job->search.hparam[0]);
}

/* What stands for a string needs no quotes, even where it looks like a number. */
static void take_as_text(struct pbt_toml *toml, const char *key, const char *value) {
  size_t n;
  int tunable;
  int k = pbt_key_find(key, &tunable);
  bool text = k >= 0 && pbt_job_keys(&n)[k].type == PBT_KEY_TEXT;
  if (text && toml->n == 1 && toml->entry[0].type != PBT_TOML_STRING) {
    toml->entry[0].type = PBT_TOML_STRING;
    toml->entry[0].string = value;
    toml->entry[0].bytes = strlen(value);
  }
}

static pbt_status apply_set(struct pbt_draft *draft, const char *set) {
  char key[128];
  const char *equals = strchr(set, '=');
  char quote[PBT_QUOTE];
  pbt_spell_quote(set, strlen(set), quote);
  if (equals == NULL || equals == set) {
    return pbt_fail(PBT_ERR_USAGE,
                    "--set %s: not KEY=VALUE, for instance optimizer.batch_size=128",
                    quote);
  }
  snprintf(key, sizeof key, "%.*s", (int)(equals - set), set);
  struct pbt_origin from = {true, set, 1, 1};
  static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789_-.";
  if ((size_t)(equals - set) >= sizeof key ||
      strspn(set, bare) != (size_t)(equals - set)) {
    return pbt_draft_fail(draft, &from, "no key of a job file looks like this");
  }
  struct pbt_toml toml;
  struct pbt_toml_error error;
  pbt_status status = pbt_toml_parse_value(key, equals + 1, &toml, &error);
  if (status == PBT_ERR_DATA) {
    return pbt_draft_fail(draft, &from, "%s", error.what);
  }
  if (status == PBT_OK) {
    if (toml.entry[0].type == PBT_TOML_TABLE) {
      clear_under(draft, key);
    }
    take_as_text(&toml, key, equals + 1);
    status = apply(draft, &toml, set);
    pbt_toml_free(&toml);
  }
  return status;
}

pbt_status pbt_draft_build(const struct pbt_job_source *source, struct pbt_draft *draft) {
  memset(draft, 0, sizeof *draft);
  draft->source = source;
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  _Static_assert(PBT_MAX_KEY >= 64, "room for every key");
  for (size_t k = 0; k < n; k++) {
    if (!key[k].of_hparam) {
      pbt_key_reset(&key[k], &draft->job);
    }
  }
  PBT_TRY(apply_file(draft));
  for (int i = 0; i < source->n_set; i++) {
    PBT_TRY(apply_set(draft, source->set[i]));
  }
  return pbt_draft_finish(draft);
}

pbt_status pbt_job_parse(const struct pbt_job_source *source, struct pbt_job *job) {
  struct pbt_draft draft;
  PBT_TRY(pbt_draft_build(source, &draft));
  *job = draft.job;
  return PBT_OK;
}
