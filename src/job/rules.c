/*
 * What can only be said once the whole job is known: which keys have a meaning, what is
 * missing, what follows from other things.  --set is stronger than the file: where it
 * makes a key of the file meaningless (another data.kind, a fixed lr instead of a
 * search), that key falls back to its default without complaint; two that stand in the
 * file together are an error.
 */
#include "job/draft.h"

#include "job/spell.h"

#include <stdio.h>
#include <string.h>

const struct pbt_key *pbt_key_obstacle(const struct pbt_key *key, const void *base) {
  size_t n;
  const struct pbt_key *table = pbt_job_keys(&n), *obstacle = NULL;
  while (key->when_words != 0) {
    const struct pbt_key *when = &table[pbt_key_index(key->when)];
    int word = *(const int *)((const char *)base + when->offset);
    if ((key->when_words >> word & 1u) == 0) {
      obstacle = key; // the outermost counts
    }
    key = when;
  }
  return obstacle;
}

bool pbt_key_applies(const struct pbt_key *key, const void *base) {
  return pbt_key_obstacle(key, base) == NULL;
}

/* ---- searched or fixed ---- */

static bool any_set(const struct pbt_draft *draft, int32_t i) {
  for (int f = 0; f < PBT_N_FIELD; f++) {
    if (draft->search[i].field[f].set != NULL) {
      return true;
    }
  }
  return draft->search[i].origin.set != NULL;
}

static pbt_status fixed_or_searched(struct pbt_draft *draft) {
  size_t n;
  const struct pbt_tunable *tunable = pbt_job_tunables(&n);
  for (int32_t i = draft->job.search.n - 1; i >= 0; i--) {
    const struct pbt_tunable *t = &tunable[draft->search[i].tunable];
    int k = pbt_key_index(t->key);
    struct pbt_origin *fixed = &draft->origin[k];
    if (!fixed->given) {
      continue;
    }
    if ((fixed->set != NULL) == any_set(draft, i)) {
      return pbt_draft_fail(draft, fixed,
                            "`%s` is fixed here and searched in [search.%s]; keep one",
                            t->key, t->name);
    }
    if (fixed->set != NULL) {
      pbt_draft_drop_search(draft, i);
    } else {
      size_t n_key;
      pbt_key_reset(&pbt_job_keys(&n_key)[k], &draft->job);
      *fixed = (struct pbt_origin){0};
    }
  }
  return PBT_OK;
}

/* ---- keys without a meaning, keys that are missing ---- */

/* `key` is the obstacle that keeps `name` from having a meaning. */
static pbt_status fail_useless(const struct pbt_draft *draft, const struct pbt_key *key,
                               const char *name, const void *base,
                               const struct pbt_origin *origin) {
  size_t n;
  const struct pbt_key *when = &pbt_job_keys(&n)[pbt_key_index(key->when)];
  struct pbt_text words = {0};
  for (int w = 0; w < when->n_word; w++) {
    if ((key->when_words >> w & 1u) != 0) {
      pbt_text_add(&words, "%s\"%s\"", words.length > 0 ? " or " : "", when->word[w]);
    }
  }
  int word = *(const int *)((const char *)base + when->offset);
  pbt_status status = words.status;
  if (status == PBT_OK) {
    status = pbt_draft_fail(draft, origin,
                            "`%s` has no meaning with %s = \"%s\", only "
                            "with %s",
                            name, pbt_key_when_name(key), when->word[word], words.data);
  }
  pbt_text_free(&words);
  return status;
}

static pbt_status fail_missing(const struct pbt_draft *draft, const struct pbt_key *key,
                               const char *name, const struct pbt_origin *origin) {
  struct pbt_text allowed = {0};
  pbt_key_allowed(key, &allowed);
  pbt_status status = allowed.status;
  if (status == PBT_OK) {
    status = pbt_draft_fail(draft, origin, "`%s` is missing; it must be %s", name,
                            allowed.data);
  }
  pbt_text_free(&allowed);
  return status;
}

/* Where the word that an obstacle hangs on was given. */
static const struct pbt_origin *origin_of_when(const struct pbt_draft *draft,
                                               const struct pbt_key *obstacle) {
  return &draft->origin[pbt_key_index(obstacle->when)];
}

/* One key against its `when` and `required`.  `when_origin`: of the word it hangs on;
 * NULL: of the key that stands in the way. */
static pbt_status check_place(struct pbt_draft *draft, const struct pbt_key *key,
                              const char *name, void *base, struct pbt_origin *origin,
                              const struct pbt_origin *when_origin,
                              const struct pbt_origin *where_missing) {
  const struct pbt_key *obstacle = pbt_key_obstacle(key, base);
  bool applies = obstacle == NULL;
  if (origin->given && !applies) {
    when_origin = when_origin != NULL ? when_origin : origin_of_when(draft, obstacle);
    if (origin->set != NULL || when_origin->set == NULL) {
      return fail_useless(draft, obstacle, name, base, origin);
    }
    pbt_key_reset(key, base);
    *origin = (struct pbt_origin){0};
  }
  if (key->required && applies && !origin->given) {
    return fail_missing(draft, key, name, where_missing);
  }
  return PBT_OK;
}

static pbt_status check_search_places(struct pbt_draft *draft, int32_t i) {
  size_t n;
  const struct pbt_key *key = &pbt_job_keys(&n)[pbt_key_index("search.NAME.kind")];
  struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  struct pbt_origin *field = draft->search[i].field;
  for (int f = 0; f < PBT_N_FIELD; f++) {
    char name[PBT_HPARAM_NAME + 32];
    snprintf(name, sizeof name, "search.%s.%s", hparam->name, pbt_key_last(key[f].name));
    const struct pbt_origin *kind = &field[PBT_FIELD_KIND];
    const struct pbt_origin *table = &draft->search[i].origin;
    PBT_TRY(check_place(draft, &key[f], name, hparam, &field[f], kind,
                        kind->set != NULL ? kind : table));
  }
  return PBT_OK;
}

/* What the task does not have cannot be searched. */
static pbt_status drop_useless_searches(struct pbt_draft *draft) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  const struct pbt_tunable *tunable = pbt_job_tunables(&n);
  for (int32_t i = draft->job.search.n - 1; i >= 0; i--) {
    const struct pbt_tunable *t = &tunable[draft->search[i].tunable];
    const struct pbt_key *obstacle =
        pbt_key_obstacle(&key[pbt_key_index(t->key)], &draft->job);
    if (obstacle == NULL) {
      continue;
    }
    if (any_set(draft, i) || origin_of_when(draft, obstacle)->set == NULL) {
      char name[PBT_HPARAM_NAME + 32];
      snprintf(name, sizeof name, "search.%s", t->name);
      return fail_useless(draft, obstacle, name, &draft->job, &draft->search[i].origin);
    }
    pbt_draft_drop_search(draft, i);
  }
  return PBT_OK;
}

static pbt_status check_places(struct pbt_draft *draft) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  static const struct pbt_origin nowhere = {0};
  for (size_t k = 0; k < n; k++) {
    if (key[k].of_hparam) {
      continue;
    }
    const struct pbt_origin *when = &nowhere;
    if (key[k].when != NULL) {
      when = &draft->origin[pbt_key_index(key[k].when)];
    }
    PBT_TRY(check_place(draft, &key[k], key[k].name, &draft->job, &draft->origin[k], NULL,
                        when));
  }
  PBT_TRY(drop_useless_searches(draft));
  for (int32_t i = 0; i < draft->job.search.n; i++) {
    PBT_TRY(check_search_places(draft, i));
    PBT_TRY(pbt_draft_check_search(draft, i));
  }
  return PBT_OK;
}

/* ---- exactly one of several ---- */

/* A key of the same table that was given, for the place of a message. */
static const struct pbt_origin *near(const struct pbt_draft *draft, const char *name) {
  static const struct pbt_origin start = {0};
  size_t n, length = pbt_key_parent(name);
  const struct pbt_key *key = pbt_job_keys(&n);
  for (size_t k = 0; k < n; k++) {
    if (draft->origin[k].given && pbt_key_parent(key[k].name) == length &&
        strncmp(key[k].name, name, length) == 0) {
      return &draft->origin[k];
    }
  }
  return &start;
}

static pbt_status check_alternatives(const struct pbt_draft *draft) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  for (size_t k = 0; k < n; k++) {
    bool first = key[k].alternative > 0;
    for (size_t before = 0; before < k; before++) {
      first = first && key[before].alternative != key[k].alternative;
    }
    if (!first) {
      continue;
    }
    bool given = false;
    char list[160] = "";
    for (size_t other = k; other < n; other++) {
      if (key[other].alternative == key[k].alternative) {
        given |= draft->origin[other].given;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
                 key[other].name);
      }
    }
    if (!given) {
      return pbt_draft_fail(draft, near(draft, key[k].name), "give exactly one of %s",
                            list);
    }
  }
  return PBT_OK;
}

/* ---- what follows from other things ---- */

static pbt_status compute_name(struct pbt_draft *draft) {
  struct pbt_job *job = &draft->job;
  const struct pbt_origin *origin = &draft->origin[pbt_key_index("name")];
  if (!origin->given) {
    const char *path = draft->source->path;
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    const char *base = slash != NULL ? slash + 1 : (path != NULL ? path : "default");
    size_t n = strlen(base);
    n -= n > 5 && strcmp(base + n - 5, ".toml") == 0 ? 5 : 0;
    if (n >= sizeof job->name || !pbt_spell_is_plain(base, n)) {
      return pbt_draft_fail(draft, origin,
                            "the file's name is too long or has control characters; give "
                            "the job a `name` of at most %zu bytes",
                            sizeof job->name - 1);
    }
    memcpy(job->name, base, n);
  }
  if (job->name[0] == '\0' || job->name[0] == '.' || strchr(job->name, '/') != NULL) {
    return pbt_draft_fail(draft, origin,
                          "`name` = \"%s\" cannot name a folder; it must not be empty, "
                          "begin with a dot or hold a slash",
                          job->name);
  }
  return PBT_OK;
}

static pbt_status compute(struct pbt_draft *draft) {
  struct pbt_job *job = &draft->job;
  PBT_TRY(compute_name(draft));
  if (!draft->origin[pbt_key_index("output")].given) {
    snprintf(job->output, sizeof job->output, "runs/%s", job->name);
  }
  if (!draft->origin[pbt_key_index("task.sense")].given) {
    bool is_loss = job->task.metric == PBT_METRIC_LOSS ||
                   job->task.metric == PBT_METRIC_BALANCED_LOSS;
    job->task.sense = is_loss ? PBT_MINIMIZE : PBT_MAXIMIZE;
  }
  if (!draft->origin[pbt_key_index("optimizer.lr")].given &&
      job->optimizer.kind != PBT_OPTIMIZER_SGD) {
    job->optimizer.lr = 0.001; // the papers' own
  }
  if (!draft->origin[pbt_key_index("data.seed")].given) {
    job->data.seed = job->seed;
  }
  if (job->data.kind == PBT_DATA_DIGITS) {
    job->data.train_size = job->data.train_size > 0 ? job->data.train_size : 12000;
    job->data.test_size = job->data.test_size > 0 ? job->data.test_size : 4000;
  }
  return PBT_OK;
}

static pbt_status check_population(struct pbt_draft *draft) {
  struct pbt_job *job = &draft->job;
  int ranks = draft->source->ranks;
  job->population.size_is_default = job->population.size == 0;
  if (job->population.size_is_default) {
    job->population.size = ranks > 0 ? ranks : 1;
  }
  if (job->population.size < ranks) {
    return pbt_fail(
        PBT_ERR_USAGE,
        "population.size = %lld but %d ranks: each rank needs a member; start "
        "at most %lld ranks (mpirun -np %lld) or --set population.size=%d",
        (long long)job->population.size, ranks, (long long)job->population.size,
        (long long)job->population.size, ranks);
  }
  return PBT_OK;
}

/* Differential evolution selects by itself, and needs three others. */
static pbt_status check_trials(const struct pbt_draft *draft) {
  const struct pbt_job *job = &draft->job;
  bool tries = job->explore.kind == PBT_EXPLORE_DE ||
               job->explore.kind == PBT_EXPLORE_SHADE ||
               job->explore.kind == PBT_EXPLORE_LSHADE;
  const struct pbt_origin *origin = &draft->origin[pbt_key_index("explore.kind")];
  if (tries && job->exploit.kind != PBT_EXPLOIT_NONE) {
    return pbt_draft_fail(
        draft, origin,
        "de, shade and lshade choose between a member and its trial and "
        "copy nobody: set exploit.kind = \"none\"");
  }
  if (tries && job->population.size < 4) {
    return pbt_draft_fail(draft, origin,
                          "de, shade and lshade need at least 4 members, not %lld",
                          (long long)job->population.size);
  }
  int64_t steps = job->explore.trial_steps;
  if (tries && job->ready.steps > 0 && steps >= job->ready.steps) { // epochs: known later
    const struct pbt_origin *given = &draft->origin[pbt_key_index("explore.trial_steps")];
    return pbt_draft_fail(draft, given->given ? given : origin,
                          "a trial of %lld steps leaves nothing of an interval of %lld, "
                          "whose last steps it is: set explore.trial_steps below "
                          "ready.steps",
                          (long long)steps, (long long)job->ready.steps);
  }
  return PBT_OK;
}

static pbt_status check_pb2(const struct pbt_draft *draft) {
  const struct pbt_job *job = &draft->job;
  const struct pbt_origin *origin = &draft->origin[pbt_key_index("explore.kind")];
  for (int32_t i = 0; job->explore.kind == PBT_EXPLORE_PB2 && i < job->search.n; i++) {
    enum pbt_kind kind = job->search.hparam[i].kind;
    if (kind == PBT_INT || kind == PBT_CHOICE) {
      return pbt_draft_fail(draft, origin,
                            "pb2 learns from real and log hyperparameters only, and "
                            "search.%s is of kind \"%s\"",
                            job->search.hparam[i].name, pbt_kind_name(kind));
    }
  }
  return PBT_OK;
}

static pbt_status check_replay(const struct pbt_draft *draft) {
  const struct pbt_job *job = &draft->job;
  bool replays = job->explore.kind == PBT_EXPLORE_REPLAY;
  int32_t n = 0;
  for (int32_t i = 0; i < job->search.n; i++) {
    n += job->search.hparam[i].n_schedule > 0;
    if (!replays && job->search.hparam[i].n_schedule > 0) {
      return pbt_draft_fail(draft, &draft->search[i].field[PBT_FIELD_SCHEDULE],
                            "search.%s.schedule has a meaning only with explore.kind = "
                            "\"replay\"",
                            job->search.hparam[i].name);
    }
  }
  if (replays && n == 0) {
    return pbt_draft_fail(draft, &draft->origin[pbt_key_index("explore.kind")],
                          "replay needs a `schedule` in one [search.NAME] at least");
  }
  return PBT_OK;
}

static pbt_status check_schedule(const struct pbt_draft *draft) {
  const struct pbt_job *job = &draft->job;
  if (job->explore.kind != PBT_EXPLORE_COSINE && job->explore.kind != PBT_EXPLORE_STEP) {
    return PBT_OK;
  }
  const struct pbt_origin *origin = &draft->origin[pbt_key_index("explore.kind")];
  bool has_lr = false;
  for (int32_t i = 0; i < job->search.n; i++) {
    const struct pbt_hparam *hparam = &job->search.hparam[i];
    bool falls = hparam->kind == PBT_LOG || hparam->kind == PBT_REAL;
    has_lr = has_lr || (falls && strcmp(hparam->name, "lr") == 0);
  }
  if (!has_lr) {
    return pbt_draft_fail(draft, origin,
                          "cosine and step are schedules of lr: add a [search.lr] of "
                          "kind \"log\" or \"real\"");
  }
  bool whole = job->budget.generations > 0 ||
               (job->budget.steps > 0 && job->ready.steps > 0) ||
               (job->budget.epochs > 0 && job->ready.epochs > 0);
  if (!whole) {
    return pbt_draft_fail(
        draft, origin,
        "cosine and step need to know the number of generations: give "
        "[budget] generations, or [budget] and [ready] in the same unit");
  }
  return PBT_OK;
}

static pbt_status check_mfpbt(const struct pbt_draft *draft) {
  const struct pbt_job *job = &draft->job;
  if (job->exploit.kind != PBT_EXPLOIT_MFPBT) {
    return PBT_OK;
  }
  int32_t n = job->exploit.n_period;
  const struct pbt_origin *origin = &draft->origin[pbt_key_index("exploit.kind")];
  if (job->population.size % (4 * n) != 0) {
    return pbt_draft_fail(draft, origin,
                          "mfpbt with %d sub-populations needs a population that %d "
                          "divides, not %lld",
                          n, 4 * n, (long long)job->population.size);
  }
  for (int32_t i = 1; i < n; i++) {
    if (job->exploit.period[i] <= job->exploit.period[i - 1]) {
      return pbt_draft_fail(draft, &draft->origin[pbt_key_index("exploit.periods")],
                            "exploit.periods must ascend, but %d follows %d",
                            job->exploit.period[i], job->exploit.period[i - 1]);
    }
  }
  return PBT_OK;
}

static pbt_status check_purpose(const struct pbt_draft *draft) {
  if (draft->job.search.n == 0 && draft->job.explore.kind != PBT_EXPLORE_NONE) {
    const struct pbt_origin *origin = &draft->origin[pbt_key_index("explore.kind")];
    return pbt_draft_fail(draft, origin,
                          "nothing to search: add a table such as [search.lr] with kind, "
                          "low and high, or set explore.kind = \"none\"");
  }
  return PBT_OK;
}

pbt_status pbt_draft_finish(struct pbt_draft *draft) {
  PBT_TRY(fixed_or_searched(draft));
  PBT_TRY(check_places(draft));
  PBT_TRY(check_purpose(draft));
  PBT_TRY(check_alternatives(draft));
  PBT_TRY(compute(draft));
  PBT_TRY(check_population(draft));
  PBT_TRY(check_trials(draft));
  PBT_TRY(check_pb2(draft));
  PBT_TRY(check_replay(draft));
  PBT_TRY(check_schedule(draft));
  return check_mfpbt(draft);
}
