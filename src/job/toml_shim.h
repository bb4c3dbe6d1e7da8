/*
 * toml_shim.h - TOML text as a flat list, for C.
 *
 * toml++ (a C++ library) does the parsing, in toml_shim.cpp, the only C++ file; no
 * exception leaves it.  A document becomes entries in the order of the file, tables
 * before what they hold and arrays before their items:
 *
 *     [data]                 "data"              TABLE
 *     kind = "idx"           "data.kind"         STRING
 *     [explore]              "explore"           TABLE
 *     factors = [0.8, 1.25]  "explore.factors"   ARRAY, n_item 2
 *                            "explore.factors[0]", "explore.factors[1]"  FLOAT
 *
 * A part of a key that is not a bare TOML key is written quoted and escaped, so that
 * "data.kind" as one quoted key is never taken for the key kind of the table data.
 * Local.
 */
#ifndef PBT_JOB_TOML_SHIM_H
#define PBT_JOB_TOML_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum pbt_toml_type {
  PBT_TOML_TABLE,
  PBT_TOML_ARRAY,
  PBT_TOML_STRING,
  PBT_TOML_INTEGER,
  PBT_TOML_FLOAT,
  PBT_TOML_BOOLEAN,
  PBT_TOML_TIME // dates and times: never wanted, always named
};

struct pbt_toml_entry {
  const char *key; // dotted, as above
  enum pbt_toml_type type;
  int32_t line, column;         // of the value, from 1
  int32_t key_line, key_column; // of the key; of the value for an array's item
  int32_t n_item;               // ARRAY: direct items
  const char *string;           // STRING: NUL-terminated
  size_t bytes;                 // STRING: without the NUL; it may hold others
  int64_t integer;              // INTEGER
  double real;                  // FLOAT, and INTEGER converted
  bool boolean;                 // BOOLEAN
};

struct pbt_toml {
  struct pbt_toml_entry *entry;
  size_t n;
  char *text; // what the entries' keys and strings point into
};

struct pbt_toml_error {
  int32_t line, column;
  char what[256]; // one line, no control characters
};

#ifdef __cplusplus
extern "C" {
#endif

/* Fills *toml, to be freed with pbt_toml_free.  PBT_ERR_DATA with *error filled and no
 * message recorded (the caller knows the file's name), or PBT_ERR_UNAVAILABLE recorded.
 */
pbt_status pbt_toml_parse(const char *text, size_t bytes, struct pbt_toml *toml,
                          struct pbt_toml_error *error);

/* The same for one value: entries are those of "key = value".  A value that is no TOML
 * and does not begin like a string, an array or a table is a string, so that a shell
 * needs no second pair of quotes.  `key` must be bare parts with dots between. */
pbt_status pbt_toml_parse_value(const char *key, const char *value, struct pbt_toml *toml,
                                struct pbt_toml_error *error);

void pbt_toml_free(struct pbt_toml *toml);

#ifdef __cplusplus
}
#endif

#endif
