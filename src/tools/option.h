/*
 * option.h - the words behind a command: a few named options, and the rest.  Pure.
 */
#ifndef PBT_TOOLS_OPTION_H
#define PBT_TOOLS_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* "--name" sets *flag; "--name VALUE" and "--name=VALUE" set *value. */
struct option_spec {
  const char *name; // "--csv"
  bool *flag;       // one of the two is NULL
  const char **value;
};

/* Takes the options out of word[], which keeps the others in order; *n_word becomes their
 * number.  A lone "--" is kept.  PBT_ERR_USAGE for an unknown option, with the nearest.
 */
pbt_status option_take(const struct option_spec spec[], size_t n_spec, char *word[],
                       int *n_word);

/* The one word that is left, for instance RUN. */
pbt_status option_one(const char *command, char *word[], int n_word, const char **run);

/* A whole number from 0, or a real one, of an option; PBT_ERR_USAGE. */
pbt_status option_integer(const char *name, const char *text, long long *value);
pbt_status option_real(const char *name, const char *text, double *value);

#endif
