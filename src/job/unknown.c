/* What to say about a name that is not in the table of keys. */
#include "job/draft.h"

#include "job/spell.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 64 };

struct names {
  const char *name[MOST];
  size_t n;
  char room[MOST][24]; // of table names
};

static bool starts_with(const char *text, const char *prefix, size_t n) {
  return strncmp(text, prefix, n) == 0;
}

static const char search_prefix[] = "search.";

bool pbt_is_table(const char *dotted) {
  if (starts_with(dotted, search_prefix, sizeof search_prefix - 1)) {
    size_t n;
    const struct pbt_tunable *tunable = pbt_job_tunables(&n);
    for (size_t t = 0; t < n; t++) {
      if (strcmp(tunable[t].name, dotted + sizeof search_prefix - 1) == 0) {
        return true;
      }
    }
    return false;
  }
  size_t n, length = strlen(dotted);
  const struct pbt_key *key = pbt_job_keys(&n);
  for (size_t k = 0; k < n; k++) {
    if (starts_with(key[k].name, dotted, length) && key[k].name[length] == '.') {
      return true;
    }
  }
  return false;
}

static void add(struct names *names, const char *name) {
  if (names->n < MOST) {
    names->name[names->n++] = name;
  }
}

/* The keys right inside a table ("" for the top). */
static void keys_inside(const char *table, struct names *names) {
  size_t n, length = strlen(table);
  const struct pbt_key *key = pbt_job_keys(&n);
  bool in_hparam = starts_with(table, search_prefix, sizeof search_prefix - 1);
  for (size_t k = 0; k < n; k++) {
    bool inside = in_hparam ? key[k].of_hparam
                            : pbt_key_parent(key[k].name) == length &&
                                  starts_with(key[k].name, table, length);
    if (inside) {
      add(names, pbt_key_last(key[k].name));
    }
  }
}

static void all_tables(struct names *names) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  for (size_t k = 0; k < n && names->n < MOST; k++) {
    size_t length = strcspn(key[k].name, ".");
    bool seen = key[k].name[length] == '\0';
    for (size_t i = 0; i < names->n; i++) {
      seen |= strlen(names->name[i]) == length &&
              starts_with(key[k].name, names->name[i], length);
    }
    if (!seen) {
      char *room = names->room[names->n];
      snprintf(room, sizeof names->room[0], "%.*s", (int)length, key[k].name);
      add(names, room);
    }
  }
}

static void all_tunables(struct names *names) {
  size_t n;
  const struct pbt_tunable *tunable = pbt_job_tunables(&n);
  for (size_t t = 0; t < n; t++) {
    add(names, tunable[t].name);
  }
}

/* The key of that last name in another table. */
static const char *elsewhere(const char *last) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  for (size_t k = 0; k < n; k++) {
    if (!key[k].of_hparam && strcmp(pbt_key_last(key[k].name), last) == 0) {
      return key[k].name;
    }
  }
  return NULL;
}

static pbt_status say(const struct pbt_draft *draft, const struct pbt_origin *origin,
                      const char *what, const char *word, const char *where,
                      const struct names *known, const struct names *also) {
  struct pbt_text list = {0};
  for (size_t i = 0; i < known->n; i++) {
    pbt_text_add(&list, "%s%s", i > 0 ? ", " : "", known->name[i]);
  }
  const char *near = pbt_text_nearest(word, known->name, known->n);
  near =
      near == NULL && also != NULL ? pbt_text_nearest(word, also->name, also->n) : near;
  near = near == NULL ? elsewhere(word) : near;
  char quote[PBT_QUOTE];
  pbt_spell_quote(word, strlen(word), quote);
  pbt_status status = list.status;
  if (status == PBT_OK) {
    status = pbt_draft_fail(draft, origin, "unknown %s `%s`; %s %s%s%s%s", what, quote,
                            where, list.data, near != NULL ? "; did you mean `" : "",
                            near != NULL ? near : "", near != NULL ? "`?" : "");
  }
  pbt_text_free(&list);
  return status;
}

/* Bytes of a dotted name's first part, which may be quoted and hold dots itself. */
static int first_part(const char *dotted) {
  if (dotted[0] != '"') {
    return (int)strcspn(dotted, ".");
  }
  int n = 1;
  while (dotted[n] != '\0' && dotted[n] != '"') {
    n += dotted[n] == '\\' && dotted[n + 1] != '\0' ? 2 : 1;
  }
  return n + (dotted[n] == '"');
}

pbt_status pbt_draft_unknown(const struct pbt_draft *draft,
                             const struct pbt_origin *origin, const char *dotted,
                             bool is_table) {
  struct names known = {.n = 0}, tables = {.n = 0};
  if (starts_with(dotted, search_prefix, sizeof search_prefix - 1)) {
    char name[64], table[sizeof name + sizeof search_prefix];
    const char *rest = dotted + sizeof search_prefix - 1;
    snprintf(name, sizeof name, "%.*s", first_part(rest), rest);
    snprintf(table, sizeof table, "search.%s", name);
    if (!pbt_is_table(table)) {
      all_tunables(&known);
      return say(draft, origin, "hyperparameter", name, "[search.NAME] takes", &known,
                 NULL);
    }
    if (rest[strlen(name)] == '\0') {
      return pbt_draft_fail(draft, origin,
                            "`search.%s` must be a table with kind, low, "
                            "high or options",
                            name);
    }
    keys_inside(table, &known);
    return say(draft, origin, "key", rest + strlen(name) + 1, "a hyperparameter takes",
               &known, NULL);
  }
  if (pbt_is_table(dotted)) {
    return pbt_draft_fail(draft, origin, "`%s` must be a table", dotted);
  }
  char top[64];
  snprintf(top, sizeof top, "%.*s", first_part(dotted), dotted);
  bool inside = dotted[strlen(top)] == '.';
  all_tables(&tables);
  if ((inside || is_table) && !pbt_is_table(top)) {
    return say(draft, origin, "table", top, "the tables are", &tables, NULL);
  }
  char where[96];
  snprintf(where, sizeof where, "[%s] takes", top);
  keys_inside(inside ? top : "", &known);
  return say(draft, origin, "key", inside ? dotted + strlen(top) + 1 : dotted,
             inside ? where : "outside of tables there are", &known,
             inside ? NULL : &tables);
}
