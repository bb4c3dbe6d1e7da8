/* Values of any key by its table entry: default, legal values in words, TOML. */
#include "job/keys.h"

#include "job/spell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(enum pbt_kind) == sizeof(int) &&
                   sizeof(enum pbt_metric) == sizeof(int),
               "a WORD key is stored as an int");

static void *at(void *base, size_t offset) {
  return (char *)base + offset;
}

static const void *look(const void *base, size_t offset) {
  return (const char *)base + offset;
}

static void put_number(const struct pbt_key *key, void *base, size_t i, double value) {
  void *to = at(base, key->offset);
  switch (key->type) {
  case PBT_KEY_WORD:
    *(int *)to = (int)value;
    break;
  case PBT_KEY_INTEGER:
    *(int64_t *)to = (int64_t)value;
    break;
  case PBT_KEY_SEED:
    *(uint64_t *)to = (uint64_t)value;
    break;
  case PBT_KEY_INT32:
  case PBT_KEY_INT32S:
    ((int32_t *)to)[i] = (int32_t)value;
    break;
  case PBT_KEY_REAL:
  case PBT_KEY_REALS:
    ((double *)to)[i] = value;
    break;
  case PBT_KEY_FLAG:
    *(bool *)to = value != 0;
    break;
  case PBT_KEY_TEXT:
  case PBT_KEY_TEXTS:
    break;
  }
}

void pbt_key_reset(const struct pbt_key *key, void *base) {
  if (key->type == PBT_KEY_TEXT) {
    memset(at(base, key->offset), 0, key->bytes);
    if (key->fallback_text != NULL) {
      snprintf(at(base, key->offset), key->bytes, "%s", key->fallback_text);
    }
  } else if (key->type == PBT_KEY_TEXTS) {
    memset(at(base, key->offset), 0, (size_t)key->most * key->bytes);
    *(int32_t *)at(base, key->count_offset) = 0;
  } else if (key->type == PBT_KEY_REALS || key->type == PBT_KEY_INT32S) {
    for (int32_t i = 0; i < key->most; i++) {
      put_number(key, base, (size_t)i, i < key->n_fallback ? key->fallback_item[i] : 0);
    }
    *(int32_t *)at(base, key->count_offset) = key->n_fallback;
  } else {
    put_number(key, base, 0, key->fallback);
  }
}

static void render_items(const struct pbt_key *key, const void *base,
                         struct pbt_text *text) {
  int32_t n = *(const int32_t *)look(base, key->count_offset);
  const void *from = look(base, key->offset);
  pbt_text_add(text, "[");
  for (int32_t i = 0; i < n; i++) {
    char number[PBT_NUMBER_TEXT];
    if (key->type == PBT_KEY_TEXTS) {
      pbt_text_add(text, "%s", i > 0 ? ", " : "");
      pbt_spell_string(text, (const char *)from + (size_t)i * key->bytes);
      continue;
    }
    if (key->type == PBT_KEY_INT32S) {
      snprintf(number, sizeof number, "%d", ((const int32_t *)from)[i]);
    } else {
      pbt_spell_real(((const double *)from)[i], number);
    }
    pbt_text_add(text, "%s%s", i > 0 ? ", " : "", number);
  }
  pbt_text_add(text, "]");
}

void pbt_key_render(const struct pbt_key *key, const void *base, struct pbt_text *text) {
  const void *from = look(base, key->offset);
  char number[PBT_NUMBER_TEXT];
  switch (key->type) {
  case PBT_KEY_TEXT:
    pbt_spell_string(text, from);
    break;
  case PBT_KEY_WORD:
    pbt_text_add(text, "\"%s\"", key->word[*(const int *)from]);
    break;
  case PBT_KEY_INTEGER:
    pbt_text_add(text, "%lld", (long long)*(const int64_t *)from);
    break;
  case PBT_KEY_SEED:
    pbt_text_add(text, "%llu", (unsigned long long)*(const uint64_t *)from);
    break;
  case PBT_KEY_INT32:
    if (key->zero != NULL && *(const int32_t *)from == 0) {
      pbt_text_add(text, "\"%s\"", key->zero);
    } else {
      pbt_text_add(text, "%d", *(const int32_t *)from);
    }
    break;
  case PBT_KEY_FLAG:
    pbt_text_add(text, "%s", *(const bool *)from ? "true" : "false");
    break;
  case PBT_KEY_REAL:
    pbt_spell_real(*(const double *)from, number);
    pbt_text_add(text, "%s", number);
    break;
  case PBT_KEY_TEXTS:
  case PBT_KEY_REALS:
  case PBT_KEY_INT32S:
    render_items(key, base, text);
    break;
  }
}

static void allowed_words(const struct pbt_key *key, struct pbt_text *text) {
  pbt_text_add(text, "%s", key->n_word > 1 ? "one of " : "");
  for (int w = 0; w < key->n_word; w++) {
    pbt_text_add(text, "%s\"%s\"", w > 0 ? ", " : "", key->word[w]);
  }
}

void pbt_key_allowed(const struct pbt_key *key, struct pbt_text *text) {
  char range[96];
  pbt_range_text(&key->range, range, sizeof range);
  switch (key->type) {
  case PBT_KEY_TEXT:
    pbt_text_add(text, "a string of at most %zu bytes", key->bytes - 1);
    break;
  case PBT_KEY_WORD:
    allowed_words(key, text);
    break;
  case PBT_KEY_INTEGER:
  case PBT_KEY_SEED:
  case PBT_KEY_INT32:
    pbt_text_add(text, "an integer %s", range);
    if (key->zero != NULL) {
      pbt_text_add(text, ", or \"%s\"", key->zero);
    }
    break;
  case PBT_KEY_FLAG:
    pbt_text_add(text, "true or false");
    break;
  case PBT_KEY_TEXTS:
    pbt_text_add(text, "an array of %d to %d strings of at most %zu bytes", key->least,
                 key->most, key->bytes - 1);
    break;
  case PBT_KEY_REAL:
    pbt_text_add(text, isfinite(key->range.low) ? "a number %s" : "a %s number", range);
    break;
  case PBT_KEY_REALS:
  case PBT_KEY_INT32S:
    pbt_text_add(text, "an array of %d to %d %s, each %s%s", key->least, key->most,
                 key->type == PBT_KEY_REALS ? "numbers" : "integers", range,
                 key->not_one ? " and not 1" : "");
    break;
  }
}
