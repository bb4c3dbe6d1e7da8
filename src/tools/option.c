#include "tools/option.h"

#include "base/text.h" // the nearest word

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPEC = 16 };

static pbt_status unknown(const struct option_spec spec[], size_t n_spec,
                          const char *word) {
  const char *name[MAX_SPEC];
  size_t n = n_spec < MAX_SPEC ? n_spec : MAX_SPEC;
  for (size_t i = 0; i < n; i++) {
    name[i] = spec[i].name;
  }
  const char *nearest = pbt_text_nearest(word, name, n);
  if (nearest != NULL) {
    return pbt_fail(PBT_ERR_USAGE, "unknown option %s; did you mean %s?", word, nearest);
  }
  return pbt_fail(PBT_ERR_USAGE, "unknown option %s; see pbt_lineage --help", word);
}

static const struct option_spec *find(const struct option_spec spec[], size_t n_spec,
                                      const char *word, size_t length) {
  for (size_t i = 0; i < n_spec; i++) {
    if (strlen(spec[i].name) == length && strncmp(spec[i].name, word, length) == 0) {
      return &spec[i];
    }
  }
  return NULL;
}

pbt_status option_take(const struct option_spec spec[], size_t n_spec, char *word[],
                       int *n_word) {
  int kept = 0;
  for (int i = 0; i < *n_word; i++) {
    if (word[i][0] != '-' || word[i][1] == '\0' || strcmp(word[i], "--") == 0) {
      word[kept++] = word[i];
      continue;
    }
    const char *equals = strchr(word[i], '=');
    size_t length = equals != NULL ? (size_t)(equals - word[i]) : strlen(word[i]);
    const struct option_spec *option = find(spec, n_spec, word[i], length);
    if (option == NULL) {
      return unknown(spec, n_spec, word[i]);
    }
    if (option->flag != NULL) {
      if (equals != NULL) {
        return pbt_fail(PBT_ERR_USAGE, "%s takes no value", option->name);
      }
      *option->flag = true;
    } else if (equals != NULL) {
      *option->value = equals + 1;
    } else if (i + 1 < *n_word) {
      *option->value = word[++i];
    } else {
      return pbt_fail(PBT_ERR_USAGE, "a value is missing after %s", option->name);
    }
  }
  *n_word = kept;
  return PBT_OK;
}

pbt_status option_one(const char *command, char *word[], int n_word, const char **run) {
  if (n_word != 1) {
    return pbt_fail(PBT_ERR_USAGE,
                    n_word == 0 ? "%s: which run? Name its folder or its lineage.h5"
                                : "%s: one run at a time",
                    command);
  }
  *run = word[0];
  return PBT_OK;
}

pbt_status option_integer(const char *name, const char *text, long long *value) {
  char *end;
  *value = strtoll(text, &end, 10);
  return end != text && *end == '\0' && *value >= 0
             ? PBT_OK
             : pbt_fail(PBT_ERR_USAGE, "%s %s: a whole number from 0 is wanted", name,
                        text);
}

pbt_status option_real(const char *name, const char *text, double *value) {
  char *end;
  *value = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*value)
             ? PBT_OK
             : pbt_fail(PBT_ERR_USAGE, "%s %s: a number is wanted", name, text);
}
