/*
 * keys.h - the one table of what a job file may say.
 *
 * Parsing, checking, the effective job, the difference of two jobs and the check of
 * docs/job-file.md are loops over this table.  A key of [search.NAME] lies in a struct
 * pbt_hparam, every other in struct pbt_job.  Everything here is constant or pure.
 */
#ifndef PBT_JOB_KEYS_H
#define PBT_JOB_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/job.h"

enum pbt_key_type {
  PBT_KEY_TEXT,    // char[bytes]
  PBT_KEY_TEXTS,   // char[][bytes], int32_t count at count_offset
  PBT_KEY_FLAG,    // bool
  PBT_KEY_WORD,    // an enum: the index of the word
  PBT_KEY_INTEGER, // int64_t
  PBT_KEY_INT32,
  PBT_KEY_SEED,  // uint64_t
  PBT_KEY_REAL,  // double
  PBT_KEY_REALS, // double[], likewise
  PBT_KEY_INT32S // int32_t[], likewise
};

struct pbt_key {
  const char *name; // "exploit.fraction"; "search.NAME.low" stands for every NAME
  enum pbt_key_type type;
  bool of_hparam;  // offsets are into struct pbt_hparam
  bool may_change; // a resumed run may change it
  bool required;   // has no default
  int alternative; // keys with the same number above 0 exclude each other
  size_t offset;   // of the value
  size_t bytes;    // TEXT, TEXTS: room with the NUL
  size_t count_offset;
  int32_t least, most;         // arrays: items
  struct pbt_range range;      // of a number or of each item
  const char *zero;            // INT32: the word that stands for 0
  bool not_one;                // a factor of 1 moves nothing
  const char *const *word;     // WORD
  int n_word;                  //
  double fallback;             // the default; WORD: its index
  const char *fallback_text;   // TEXT
  const double *fallback_item; // arrays
  int32_t n_fallback;          //
  const char *computed;        // in words, where the default follows from other things
  const char *when;            // has a meaning only if this WORD key ...
  unsigned when_words;         // ... is one of these words (bit set); 0: always
  const char *help;            // one line
};

const struct pbt_key *pbt_job_keys(size_t *n);

/* The index in the table, -1 if there is none.  *tunable: the position of NAME among
 * pbt_job_tunables for a key of [search.NAME], else -1. */
int pbt_key_find(const char *dotted, int *tunable);
/* The index by the table's own spelling ("search.NAME.low"); it must exist. */
int pbt_key_index(const char *name);

/* The key its meaning hangs on: "kind" in the same table, else in full: "task.kind". */
const char *pbt_key_when_name(const struct pbt_key *key);

/* The part after the last dot, and the length of what is before it. */
const char *pbt_key_last(const char *dotted);
size_t pbt_key_parent(const char *dotted);

bool pbt_range_has(const struct pbt_range *range, double value);
/* "above 0 and at most 0.5", "from 1 to 1024", "at least 1". */
void pbt_range_text(const struct pbt_range *range, char *text, size_t bytes);

/* "a number above 0", "one of \"perturb\", \"none\"": what a key takes. */
void pbt_key_allowed(const struct pbt_key *key, struct pbt_text *text);

/* Sets the default; `base` is the struct the key's offset is into. */
void pbt_key_reset(const struct pbt_key *key, void *base);
/* The value as TOML. */
void pbt_key_render(const struct pbt_key *key, const void *base, struct pbt_text *text);

#endif
