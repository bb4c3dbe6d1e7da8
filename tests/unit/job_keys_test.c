/*
 * The table of keys against itself, and docs/job-file.md against the table: one row for
 * each key, as printed here, and no row for anything else; and its examples are jobs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "job/draft.h"
#include "job/keys.h"
#include "job/spell.h"
#include "tests/test.h"
#include "tests/unit/job_support.h"

static void cell_default(const struct pbt_key *key, struct pbt_text *text) {
  if (key->required) {
    pbt_text_add(text, "required");
  } else if (key->computed != NULL) {
    pbt_text_add(text, "%s", key->computed);
  } else {
    struct pbt_job job = {0};
    struct pbt_text value = {0};
    pbt_key_reset(key, &job);
    pbt_key_render(key, &job, &value);
    pbt_text_add(text, "`%s`", value.data);
    pbt_text_free(&value);
  }
}

static void cell_when(const struct pbt_key *key, struct pbt_text *text) {
  size_t n;
  const struct pbt_key *when = &pbt_job_keys(&n)[pbt_key_index(key->when)];
  pbt_text_add(text, " Only with `%s` =", pbt_key_when_name(key));
  bool first = true;
  for (int w = 0; w < when->n_word; w++) {
    if ((key->when_words >> w & 1u) != 0) {
      pbt_text_add(text, "%s `\"%s\"`", first ? "" : " or", when->word[w]);
      first = false;
    }
  }
  pbt_text_add(text, ".");
}

static void row(const struct pbt_key *key, struct pbt_text *text) {
  pbt_text_add(text, "| `%s` | ", key->name);
  pbt_key_allowed(key, text);
  pbt_text_add(text, " | ");
  cell_default(key, text);
  pbt_text_add(text, " | %s", key->help);
  if (key->when_words != 0) {
    cell_when(key, text);
  }
  pbt_text_add(text, "%s |\n", key->may_change ? " May change on resume." : "");
}

static char *read_docs(void) {
  char path[512], *text;
  size_t bytes;
  in_source(path, sizeof path, "docs/job-file.md");
  ck_ok(pbt_file_read(path, 1 << 20, &text, &bytes));
  return text;
}

START_TEST(every_key_is_documented_and_nothing_else) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  if (getenv("PBT_TEST_SHOW") != NULL) {
    for (size_t k = 0; k < n; k++) {
      struct pbt_text want = {0};
      row(&key[k], &want);
      printf("%s", want.data);
      fflush(stdout);
      pbt_text_free(&want);
    }
  }
  char *docs = read_docs();
  for (size_t k = 0; k < n; k++) {
    struct pbt_text want = {0};
    row(&key[k], &want);
    ck_assert_msg(strstr(docs, want.data) != NULL, "docs/job-file.md lacks this row:\n%s",
                  want.data);
    pbt_text_free(&want);
  }
  size_t n_row = 0;
  for (const char *at = docs; (at = strstr(at, "\n| `")) != NULL; at++) {
    n_row++;
  }
  ck_assert_uint_eq(n_row, n);
  pbt_mem_free(docs);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(the_examples_are_jobs) {
  char *docs = read_docs();
  int n_example = 0;
  for (char *at = docs; (at = strstr(at, "```toml\n")) != NULL;) {
    at += strlen("```toml\n");
    char *end = strstr(at, "```");
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    struct pbt_job job;
    ck_ok(parse("example.toml", at, 2, &job));
    at = end + 3;
    n_example++;
  }
  ck_assert_int_ge(n_example, 2);
  pbt_mem_free(docs);
}
END_TEST

START_TEST(the_table_is_consistent) {
  size_t n, n_tunable;
  const struct pbt_key *key = pbt_job_keys(&n);
  ck_assert_uint_lt(n, PBT_MAX_KEY);
  for (size_t k = 0; k < n; k++) {
    ck_assert_int_eq(pbt_key_index(key[k].name), (int)k); // no name twice
    ck_assert_msg(key[k].help != NULL, "%s", key[k].name);
    ck_assert(key[k].type != PBT_KEY_WORD || key[k].n_word > 0);
    ck_assert(key[k].when_words == 0 || pbt_key_index(key[k].when) >= 0);
    bool number = key[k].type == PBT_KEY_INTEGER || key[k].type == PBT_KEY_REAL ||
                  key[k].type == PBT_KEY_INT32 || key[k].type == PBT_KEY_SEED;
    if (number && !key[k].required && key[k].computed == NULL) {
      ck_assert_msg(pbt_range_has(&key[k].range, key[k].fallback), "%s", key[k].name);
    }
  }
  const struct pbt_tunable *tunable = pbt_job_tunables(&n_tunable);
  struct pbt_job job = {0};
  for (size_t t = 0; t < n_tunable; t++) {
    const struct pbt_key *fixed = &key[pbt_key_index(tunable[t].key)];
    ck_assert_uint_eq(fixed->offset, tunable[t].offset);
    ck_assert_double_eq(fixed->range.low, tunable[t].legal.low);
    ck_assert_double_eq(fixed->range.high, tunable[t].legal.high);
    ck_assert_int_eq(fixed->range.low_open, tunable[t].legal.low_open);
    ck_assert_int_eq(fixed->range.high_open, tunable[t].legal.high_open);
    pbt_key_reset(fixed, &job);
    double value;
    memcpy(&value, (const char *)&job + tunable[t].offset, sizeof value);
    ck_assert(pbt_range_has(&tunable[t].legal, value));
  }
  int kind = pbt_key_index("search.NAME.kind");
  ck_assert_int_eq(pbt_key_index("search.NAME.options") - kind, PBT_FIELD_OPTIONS);
  ck_assert_int_eq(pbt_key_index("search.NAME.start_low") - kind, PBT_FIELD_START_LOW);
}
END_TEST

/* Words stand in the order of their enums. */
START_TEST(words_are_their_enums) {
  static const struct {
    const char *set;
    size_t offset;
    int want;
  } list[] = {
#define WORD(text, member, value) {text, offsetof(struct pbt_job, member), value}
      WORD("task.metric=accuracy", task.metric, PBT_METRIC_ACCURACY),
      WORD("task.metric=loss", task.metric, PBT_METRIC_LOSS),
      WORD("task.metric=macro_f1", task.metric, PBT_METRIC_MACRO_F1),
      WORD("task.metric=balanced_accuracy", task.metric, PBT_METRIC_BALANCED_ACCURACY),
      WORD("task.metric=balanced_loss", task.metric, PBT_METRIC_BALANCED_LOSS),
      WORD("optimizer.kind=sgd", optimizer.kind, PBT_OPTIMIZER_SGD),
      WORD("optimizer.kind=rmsprop", optimizer.kind, PBT_OPTIMIZER_RMSPROP),
      WORD("optimizer.kind=adam", optimizer.kind, PBT_OPTIMIZER_ADAM),
      WORD("optimizer.kind=adamw", optimizer.kind, PBT_OPTIMIZER_ADAMW),
      WORD("optimizer.decay=l2", optimizer.decay, PBT_DECAY_L2),
      WORD("optimizer.decay=decoupled", optimizer.decay, PBT_DECAY_DECOUPLED),
      WORD("optimizer.class_weights=none", optimizer.class_weights, PBT_CLASSES_EQUAL),
      WORD("optimizer.class_weights=balanced", optimizer.class_weights,
           PBT_CLASSES_BALANCED),
      WORD("network.kind=resnet20", network.kind, PBT_NETWORK_RESNET20),
      WORD("task.sense=maximize", task.sense, PBT_MAXIMIZE),
      WORD("task.sense=minimize", task.sense, PBT_MINIMIZE),
      WORD("network.kind=mlp", network.kind, PBT_NETWORK_MLP),
      WORD("network.kind=lenet5", network.kind, PBT_NETWORK_LENET5),
      WORD("backend=auto", backend, PBT_BACKEND_AUTO),
      WORD("backend=cpu", backend, PBT_BACKEND_CPU),
      WORD("backend=cuda", backend, PBT_BACKEND_CUDA),
      WORD("exploit.kind=truncation", exploit.kind, PBT_EXPLOIT_TRUNCATION),
      WORD("exploit.kind=none", exploit.kind, PBT_EXPLOIT_NONE),
      WORD("exploit.pairing=random", exploit.pairing, PBT_PAIR_RANDOM),
      WORD("exploit.pairing=rank", exploit.pairing, PBT_PAIR_RANK),
      WORD("exploit.pairing=mod", exploit.pairing, PBT_PAIR_MOD),
      WORD("exploit.copy=both", exploit.copy, PBT_COPY_BOTH),
      WORD("exploit.copy=weights", exploit.copy, PBT_COPY_WEIGHTS),
      WORD("exploit.copy=hparams", exploit.copy, PBT_COPY_HPARAMS),
      WORD("exploit.copy=none", exploit.copy, PBT_COPY_NONE),
      WORD("explore.kind=perturb", explore.kind, PBT_EXPLORE_PERTURB),
      WORD("explore.kind=resample", explore.kind, PBT_EXPLORE_RESAMPLE),
      WORD("explore.kind=none", explore.kind, PBT_EXPLORE_NONE),
      WORD("explore.bounds=clip", explore.bounds, PBT_CLIP),
      WORD("explore.bounds=reflect", explore.bounds, PBT_REFLECT),
#undef WORD
  };
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    struct pbt_job_source source = {.set = &list[i].set, .n_set = 1, .ranks = 1};
    struct pbt_job job;
    pbt_status status = pbt_job_parse(&source, &job);
    if (status != PBT_OK) { // the file of the built-in job may give keys that now clash
      ck_assert_msg(0, "%s: %s", list[i].set, pbt_error());
    }
    int found;
    memcpy(&found, (const char *)&job + list[i].offset, sizeof found);
    ck_assert_msg(found == list[i].want, "%s", list[i].set);
  }
  ck_assert_str_eq(pbt_metric_name(PBT_METRIC_MACRO_F1), "macro_f1");
  ck_assert_str_eq(pbt_network_name(PBT_NETWORK_LENET5), "lenet5");
}
END_TEST

START_TEST(numbers_read_back_and_read_well) {
  static const struct {
    double value;
    const char *text;
  } want[] = {{0.1, "0.1"},
              {1e-4, "1e-4"},
              {0.00025, "2.5e-4"},
              {0.001, "0.001"},
              {250, "250"},
              {-1.5, "-1.5"},
              {0, "0"},
              {1e22, "1e22"},
              {123456789012, "123456789012"},
              {1.0 / 3, "0.3333333333333333"},
              {100000, "100000"},
              {5e-324, "5e-324"},
              {1.7976931348623157e308, "1.7976931348623157e308"}};
  char text[PBT_NUMBER_TEXT];
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    pbt_spell_number(want[i].value, text);
    ck_assert_str_eq(text, want[i].text);
  }
  struct pbt_rng rng = pbt_rng_open(5, 0, PBT_RNG_TEST, 0);
  for (int i = 0; i < 100000; i++) {
    uint64_t bits = pbt_rng_u64(&rng);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (value - value != 0) {
      continue; // an infinity or no number
    }
    pbt_spell_real(value, text);
    if (strtod(text, NULL) != value || strpbrk(text, ".e") == NULL) {
      ck_abort_msg("%a -> %s", value, text);
    }
  }
}
END_TEST

PBT_TEST_MAIN("job_keys", every_key_is_documented_and_nothing_else, the_examples_are_jobs,
              the_table_is_consistent, words_are_their_enums,
              numbers_read_back_and_read_well)
