/* Layer lists in words: one grammar, read here and written by pbt_net_layer_words. */
#include "net/net.h"

#include "base/text.h" // pbt_text_add

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 16, MAX_WORD = 32, LARGEST = 65536 };

static const char *const kind_word[PBT_LAYER_KINDS] = {
    [PBT_LAYER_CONV] = "conv", [PBT_LAYER_DENSE] = "dense",
    [PBT_LAYER_NORM] = "norm", [PBT_LAYER_ADD] = "add",
    [PBT_LAYER_POOL] = "pool", [PBT_LAYER_DROPOUT] = "dropout"};

static const char *const form[PBT_LAYER_KINDS] = {
    [PBT_LAYER_CONV] = "conv OUT KxK [stride N] [pad N] [relu] [pool N] [as NAME]",
    [PBT_LAYER_DENSE] = "dense OUT|classes [relu] [as NAME]",
    [PBT_LAYER_NORM] = "norm [add NAME] [relu] [as NAME]",
    [PBT_LAYER_ADD] = "add NAME [relu] [as NAME]",
    [PBT_LAYER_POOL] = "pool max|mean K|all [stride N] [as NAME]",
    [PBT_LAYER_DROPOUT] = "dropout [as NAME]"};

/* One entry, cut into words. */
struct entry {
  const char *text;
  int32_t number; // from 1
  int32_t n_class;
  char word[MAX_WORDS][MAX_WORD];
  int32_t n, at; // words; the next one
  struct pbt_net_layer *layer;
};

static const char *peek(const struct entry *entry) {
  return entry->at < entry->n ? entry->word[entry->at] : "";
}

static pbt_status misplaced(const struct entry *entry) {
  const char *word = peek(entry);
  char what[MAX_WORD + 32];
  if (word[0] == '\0') {
    snprintf(what, sizeof what, "it ends too early");
  } else {
    snprintf(what, sizeof what, "\"%s\" does not belong here", word);
  }
  return pbt_fail(PBT_ERR_DATA, "network.layers, entry %d \"%s\": %s; the form is: %s",
                  entry->number, entry->text, what, form[entry->layer->kind]);
}

static pbt_status split(struct entry *entry) {
  const char *from = entry->text;
  for (;;) {
    from += strspn(from, " \t");
    size_t length = strcspn(from, " \t");
    if (length == 0) {
      return PBT_OK;
    }
    if (entry->n == MAX_WORDS || length >= MAX_WORD) {
      return pbt_fail(PBT_ERR_DATA,
                      "network.layers, entry %d \"%s\": more than %d words or a word of "
                      "more than %d letters",
                      entry->number, entry->text, MAX_WORDS, MAX_WORD - 1);
    }
    memcpy(entry->word[entry->n++], from, length);
    from += length;
  }
}

static bool take(struct entry *entry, const char *word) {
  bool is = strcmp(peek(entry), word) == 0;
  entry->at += is;
  return is;
}

/* Digits only; *end is set behind them. */
static bool read_number(const char *text, const char **end, int32_t *number) {
  char *stop;
  long value = text[0] >= '0' && text[0] <= '9' ? strtol(text, &stop, 10) : -1;
  if (value < 0 || value > LARGEST) {
    return false;
  }
  *number = (int32_t)value;
  *end = stop;
  return true;
}

static pbt_status take_number(struct entry *entry, int32_t *number) {
  const char *end;
  if (!read_number(peek(entry), &end, number) || *end != '\0') {
    return misplaced(entry);
  }
  entry->at++;
  return PBT_OK;
}

static pbt_status take_name(struct entry *entry, char name[PBT_LAYER_NAME]) {
  static const char letters[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const char *word = peek(entry);
  size_t length = strlen(word);
  bool reserved = strcmp(word, "step") == 0; // a tensor of that name is in every state
  if (length == 0 || length >= PBT_LAYER_NAME || strspn(word, letters) < length ||
      reserved) {
    return misplaced(entry);
  }
  memcpy(name, word, length + 1);
  entry->at++;
  return PBT_OK;
}

/* "3x3" */
static pbt_status take_kernel(struct entry *entry, int32_t *kernel) {
  const char *end;
  int32_t other;
  if (!read_number(peek(entry), &end, kernel) || *end != 'x' ||
      !read_number(end + 1, &end, &other) || *end != '\0' || other != *kernel) {
    return misplaced(entry);
  }
  entry->at++;
  return PBT_OK;
}

/* What must stand behind the kind. */
static pbt_status take_head(struct entry *entry) {
  struct pbt_net_layer *layer = entry->layer;
  switch (layer->kind) {
  case PBT_LAYER_CONV:
    layer->stride = 1;
    PBT_TRY(take_number(entry, &layer->out));
    return take_kernel(entry, &layer->kernel);
  case PBT_LAYER_DENSE:
    if (take(entry, "classes")) {
      layer->out = entry->n_class;
      return PBT_OK;
    }
    return take_number(entry, &layer->out);
  case PBT_LAYER_ADD:
    return take_name(entry, layer->skip);
  case PBT_LAYER_POOL:
    layer->mean = take(entry, "mean");
    if (!layer->mean && !take(entry, "max")) {
      return misplaced(entry);
    }
    if (!take(entry, "all")) {
      PBT_TRY(take_number(entry, &layer->kernel));
      layer->stride = layer->kernel;
    }
    return PBT_OK;
  case PBT_LAYER_NORM:
  case PBT_LAYER_DROPOUT:
  case PBT_LAYER_KINDS:
    break;
  }
  return PBT_OK;
}

static pbt_status take_options(struct entry *entry) {
  struct pbt_net_layer *layer = entry->layer;
  bool conv = layer->kind == PBT_LAYER_CONV, norm = layer->kind == PBT_LAYER_NORM;
  bool part_pool = layer->kind == PBT_LAYER_POOL && layer->kernel > 0;
  bool rectifies =
      conv || norm || layer->kind == PBT_LAYER_DENSE || layer->kind == PBT_LAYER_ADD;
  while (entry->at < entry->n) {
    if ((conv || part_pool) && take(entry, "stride")) {
      PBT_TRY(take_number(entry, &layer->stride));
    } else if (conv && take(entry, "pad")) {
      PBT_TRY(take_number(entry, &layer->pad));
    } else if (conv && take(entry, "pool")) {
      PBT_TRY(take_number(entry, &layer->pool));
    } else if (norm && take(entry, "add")) {
      PBT_TRY(take_name(entry, layer->skip));
    } else if (rectifies && take(entry, "relu")) {
      layer->relu = true;
    } else if (take(entry, "as")) {
      PBT_TRY(take_name(entry, layer->name));
    } else {
      return misplaced(entry);
    }
  }
  return PBT_OK;
}

static pbt_status parse_entry(const char *text, int32_t number, int32_t n_class,
                              struct pbt_net_layer *layer) {
  *layer = (struct pbt_net_layer){0};
  struct entry entry = {
      .text = text, .number = number, .n_class = n_class, .layer = layer};
  PBT_TRY(split(&entry));
  for (int kind = 0; kind < PBT_LAYER_KINDS; kind++) {
    if (take(&entry, kind_word[kind])) {
      layer->kind = (enum pbt_layer_kind)kind;
      PBT_TRY(take_head(&entry));
      return take_options(&entry);
    }
  }
  return pbt_fail(PBT_ERR_DATA,
                  "network.layers, entry %d \"%s\": \"%s\" is no kind of layer; it must "
                  "begin with conv, dense, norm, add, pool or dropout",
                  number, text, peek(&entry));
}

/* Gives layer i its name by kind and number, and sees that no two share one. */
static pbt_status name_layer(struct pbt_net_spec *spec, int32_t i) {
  struct pbt_net_layer *layer = &spec->layer[i];
  int32_t number = 1;
  for (int32_t k = 0; k < i; k++) {
    number += spec->layer[k].kind == layer->kind;
  }
  if (layer->name[0] == '\0' && i + 1 == spec->n_layer) {
    snprintf(layer->name, sizeof layer->name, "output");
  } else if (layer->name[0] == '\0') {
    snprintf(layer->name, sizeof layer->name, "%s%d", kind_word[layer->kind], number);
  }
  for (int32_t k = 0; k < i; k++) {
    if (strcmp(spec->layer[k].name, layer->name) == 0) {
      return pbt_fail(PBT_ERR_DATA,
                      "network.layers: entries %d and %d are both called \"%s\"", k + 1,
                      i + 1, layer->name);
    }
  }
  return PBT_OK;
}

pbt_status pbt_net_parse(const char *name, struct pbt_shape in, int32_t n_class,
                         const char *const entry[], int32_t n_entry,
                         struct pbt_net_spec *spec) {
  *spec = (struct pbt_net_spec){.in = in, .n_class = n_class, .n_layer = n_entry};
  snprintf(spec->name, sizeof spec->name, "%s", name);
  for (int32_t i = 0; i < n_entry && i < PBT_MAX_LAYERS; i++) {
    PBT_TRY(parse_entry(entry[i], i + 1, n_class, &spec->layer[i]));
    PBT_TRY(name_layer(spec, i));
  }
  int64_t parameters;
  return pbt_net_count(spec, &parameters);
}

void pbt_net_layer_words(const struct pbt_net_spec *spec, int32_t i,
                         struct pbt_text *text) {
  const struct pbt_net_layer *layer = &spec->layer[i];
  pbt_text_add(text, "%s", kind_word[layer->kind]);
  if (layer->kind == PBT_LAYER_CONV) {
    pbt_text_add(text, " %d %dx%d", layer->out, layer->kernel, layer->kernel);
  } else if (layer->kind == PBT_LAYER_DENSE) {
    pbt_text_add(text, " %d", layer->out);
  } else if (layer->kind == PBT_LAYER_POOL && layer->kernel == 0) {
    pbt_text_add(text, " %s all", layer->mean ? "mean" : "max");
  } else if (layer->kind == PBT_LAYER_POOL) {
    pbt_text_add(text, " %s %d", layer->mean ? "mean" : "max", layer->kernel);
  }
  if (layer->skip[0] != '\0') {
    const char *word = layer->kind == PBT_LAYER_NORM ? " add" : "";
    pbt_text_add(text, "%s %s", word, layer->skip);
  }
  int32_t usual = layer->kind == PBT_LAYER_POOL ? layer->kernel : 1;
  if (layer->stride != 0 && layer->stride != usual) {
    pbt_text_add(text, " stride %d", layer->stride);
  }
  if (layer->pad > 0) {
    pbt_text_add(text, " pad %d", layer->pad);
  }
  pbt_text_add(text, "%s", layer->relu ? " relu" : "");
  if (layer->pool > 0) {
    pbt_text_add(text, " pool %d", layer->pool);
  }
}
