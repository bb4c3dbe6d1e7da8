/*
 * draft.h - a job being put together: the values, and where each came from.
 *
 * The file's entries are applied first, then those of each --set, which replace; then the
 * rules that need the whole job are checked and computed defaults filled in.  Inside
 * job/ only.
 */
#ifndef PBT_JOB_DRAFT_H
#define PBT_JOB_DRAFT_H

#include "job/job.h"
#include "job/keys.h"
#include "job/toml_shim.h"

enum { PBT_MAX_KEY = 160 };

/* Fields of [search.NAME], in the order of the table of keys. */
enum pbt_field {
  PBT_FIELD_KIND,
  PBT_FIELD_LOW,
  PBT_FIELD_HIGH,
  PBT_FIELD_START_LOW,
  PBT_FIELD_START_HIGH,
  PBT_FIELD_OPTIONS,
  PBT_FIELD_START,
  PBT_FIELD_SCHEDULE,
  PBT_N_FIELD
};

struct pbt_origin {
  bool given;           // by the file or by --set
  const char *set;      // the argument, borrowed; NULL: the file
  int32_t line, column; // in the file
};

struct pbt_draft {
  const struct pbt_job_source *source;
  struct pbt_job job;
  struct pbt_origin
      origin[PBT_MAX_KEY]; // by index of the key; not those of [search.NAME]
  struct {
    int tunable;              // its position among the tunables
    struct pbt_origin origin; // of the table
    struct pbt_origin field[PBT_N_FIELD];
  } search[PBT_MAX_HPARAM]; // beside job.search.hparam
};

/* The job and its origins; *draft is large, so the caller's. */
pbt_status pbt_draft_build(const struct pbt_job_source *source, struct pbt_draft *draft);

/* Whether a key has a meaning: its `when` holds in `base` (the struct it lies in), and so
 * does that key's own.  The other form gives the key whose `when` fails, or NULL. */
const struct pbt_key *pbt_key_obstacle(const struct pbt_key *key, const void *base);
bool pbt_key_applies(const struct pbt_key *key, const void *base);

/* Records "FILE:LINE:COLUMN: ..." or "--set key=value: ..." with PBT_ERR_DATA. */
pbt_status pbt_draft_fail(const struct pbt_draft *draft, const struct pbt_origin *origin,
                          const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Takes hyperparameter i out of the search. */
void pbt_draft_drop_search(struct pbt_draft *draft, int32_t i);

/* Checks hyperparameter i and fills in its start range (search.c). */
pbt_status pbt_draft_check_search(struct pbt_draft *draft, int32_t i);
/* The rules that need the whole job, and computed defaults (rules.c). */
pbt_status pbt_draft_finish(struct pbt_draft *draft);
/* Records an unknown key or table, what is known there, and the nearest (unknown.c). */
pbt_status pbt_draft_unknown(const struct pbt_draft *draft,
                             const struct pbt_origin *origin, const char *dotted,
                             bool is_table);
/* Whether keys begin with this name and a dot: "data", "search", "search.lr". */
bool pbt_is_table(const char *dotted);

#endif
