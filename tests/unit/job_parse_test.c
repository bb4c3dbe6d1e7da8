/* Parsing, defaults, --set, the effective job and the difference of two jobs. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "job/job.h"
#include "tests/test.h"
#include "tests/unit/job_support.h"

static const char least[] = "[search.lr]\n"
                            "kind = \"log\"\n"
                            "low = 1e-4\n"
                            "high = 0.5\n"
                            "[ready]\n"
                            "steps = 100\n"
                            "[budget]\n"
                            "generations = 10\n";

START_TEST(a_short_job_takes_defaults) {
  struct pbt_job job;
  ck_ok(parse("some/where/first.toml", least, 6, &job));
  ck_assert_str_eq(job.name, "first");
  ck_assert_str_eq(job.output, "runs/first");
  ck_assert_uint_eq(job.seed, 1);
  ck_assert_uint_eq(job.data.seed, 1);
  ck_assert_int_eq(job.population.size, 6);
  ck_assert_int_eq(job.network.kind, PBT_NETWORK_LENET5);
  ck_assert_int_eq(job.network.n_hidden, 2);
  ck_assert_int_eq(job.network.hidden[1], 128);
  ck_assert_int_eq(job.data.kind, PBT_DATA_DIGITS);
  ck_assert_int_eq(job.data.train_size, 12000);
  ck_assert_double_eq(job.data.validation, 0.1);
  ck_assert_int_eq(job.optimizer.batch_size, 64);
  ck_assert_int_eq(job.task.sense, PBT_MAXIMIZE);
  ck_assert_int_eq(job.exploit.kind, PBT_EXPLOIT_TRUNCATION);
  ck_assert_double_eq(job.exploit.fraction, 0.2);
  ck_assert_int_eq(job.explore.n_factor, 2);
  ck_assert_double_eq(job.explore.factor[1], 1.25);
  ck_assert_int_eq(job.explore.bounds, PBT_REFLECT);
  ck_assert_int_eq(job.ready.steps, 100);
  ck_assert_int_eq(job.budget.generations, 10);
  ck_assert_int_eq(job.checkpoint.keep, 2);
  ck_assert_int_eq(job.search.n, 1);
  ck_assert_str_eq(job.search.hparam[0].name, "lr");
  ck_assert_int_eq(job.search.hparam[0].kind, PBT_LOG);
  ck_assert_double_eq(job.search.hparam[0].start_high, 0.5);
  ck_assert_int_eq(job.search.hparam[0].line, 1);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

/* Text -> job -> effective text -> job: the same bytes but for places in the file, and
 * the same text but for the marks. */
static void round_trip(const struct pbt_job_source *source) {
  struct pbt_job job, again;
  struct pbt_text text = {0}, second = {0};
  ck_ok(pbt_job_parse(source, &job));
  ck_ok(pbt_job_effective(source, &job, &text));
  struct pbt_job_source from_text = {
      .path = "other.toml", .text = text.data, .bytes = text.length, .ranks = 1};
  ck_ok(pbt_job_parse(&from_text, &again));
  ck_ok(pbt_job_effective(&from_text, &again, &second));
  forget_places(&job);
  forget_places(&again);
  again.population.size_is_default = job.population.size_is_default;
  ck_assert_mem_eq(&job, &again, sizeof job);
  ck_assert_ptr_null(strstr(second.data, "# default"));
  struct pbt_text difference = {0};
  ck_ok(pbt_job_difference(text.data, second.data, &difference));
  ck_assert_uint_eq(difference.length, 0);
  pbt_text_free(&text);
  pbt_text_free(&second);
  pbt_text_free(&difference);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

START_TEST(the_effective_job_is_the_same_job) {
  round_trip(&(struct pbt_job_source){.ranks = 32});
  round_trip(&(struct pbt_job_source){
      .path = "a.toml", .text = least, .bytes = sizeof least - 1, .ranks = 3});
  const char *const set[] = {"network.kind=mlp",
                             "network.hidden=[10, 20, 30]",
                             "search.label_smoothing={kind=\"choice\", options=[0, 0.1]}",
                             "search.momentum={kind=\"real\", low=0, high=0.95}",
                             "optimizer.weight_decay=0.1e-3",
                             "ready.epochs=0.3",
                             "data.kind=idx",
                             "data.folder=/a \"b\"\\c/ü",
                             "explore.factors=[0.1, 3.3333333333333335]",
                             "seed=9223372036854775807"};
  round_trip(&(struct pbt_job_source){.path = "a.toml",
                                      .text = least,
                                      .bytes = sizeof least - 1,
                                      .set = set,
                                      .n_set = 10,
                                      .ranks = 3});
  const char *const more[] = {"network.kind=layers",
                              "network.layers=[\"conv 4 3x3 pad 1 as a\", \"dense 10\"]",
                              "network.dropout=0.25",
                              "optimizer.kind=adamw",
                              "optimizer.beta2=0.95",
                              "optimizer.class_weights=balanced",
                              "search.flip={kind=\"real\", low=0, high=0.5}",
                              "search.shift={kind=\"int\", low=0, high=4}",
                              "augment.cutout=3",
                              "threads=auto",
                              "task.metric=balanced_loss"};
  round_trip(&(struct pbt_job_source){.path = "a.toml",
                                      .text = least,
                                      .bytes = sizeof least - 1,
                                      .set = more,
                                      .n_set = sizeof more / sizeof *more,
                                      .ranks = 3});
  const char *const names[] = {"mnist-lenet5", "fashion-lenet5", "digits"};
  for (int i = 0; i < 3; i++) {
    char path[512], inside[64];
    snprintf(inside, sizeof inside, "jobs/%s.toml", names[i]);
    in_source(path, sizeof path, inside);
    char *text;
    size_t bytes;
    ck_ok(pbt_file_read(path, PBT_JOB_LIMIT, &text, &bytes));
    struct pbt_job_source source = {
        .path = path, .text = text, .bytes = bytes, .ranks = 8};
    struct pbt_job job;
    ck_ok(pbt_job_parse(&source, &job));
    pbt_mem_free(text);
  }
}
END_TEST

START_TEST(the_built_in_job_is_the_file) {
  char path[512];
  in_source(path, sizeof path, "jobs/digits.toml");
  char *file;
  size_t bytes;
  ck_ok(pbt_file_read(path, PBT_JOB_LIMIT, &file, &bytes));
  struct pbt_job_source of_file = {
      .path = path, .text = file, .bytes = bytes, .ranks = 5};
  struct pbt_job_source built_in = {.ranks = 5};
  struct pbt_job job;
  struct pbt_text a = {0}, b = {0};
  ck_ok(pbt_job_parse(&of_file, &job));
  ck_ok(pbt_job_effective(&of_file, &job, &a));
  ck_ok(pbt_job_parse(&built_in, &job));
  ck_ok(pbt_job_effective(&built_in, &job, &b));
  ck_assert_str_eq(a.data, b.data);
  pbt_text_free(&a);
  pbt_text_free(&b);
  pbt_mem_free(file);
}
END_TEST

START_TEST(marks_what_the_user_did_not_write) {
  const char *const set[] = {"threads=2"};
  struct pbt_job_source source = {.path = "a.toml",
                                  .text = least,
                                  .bytes = sizeof least - 1,
                                  .set = set,
                                  .n_set = 1,
                                  .ranks = 3};
  struct pbt_job job;
  struct pbt_text text = {0};
  ck_ok(pbt_job_parse(&source, &job));
  ck_ok(pbt_job_effective(&source, &job, &text));
  ck_assert_ptr_nonnull(strstr(text.data, "\nthreads = 2\n"));
  ck_assert_ptr_nonnull(strstr(text.data, "\nlow = 1e-4\n"));
  ck_assert_ptr_nonnull(strstr(text.data, "\nsize = 3                                # "
                                          "default\n"));
  ck_assert_ptr_nonnull(strstr(text.data, "\nstart_low = 1e-4 "));
  ck_assert_ptr_null(strstr(text.data, "\nlr = "));     // it is searched
  ck_assert_ptr_null(strstr(text.data, "\nfolder = ")); // digits need none
  ck_assert_ptr_null(strstr(text.data, "\nepochs"));    // steps were given
  ck_assert_ptr_nonnull(strstr(text.data, "\nmomentum = 0.9 "));
  pbt_text_free(&text);
}
END_TEST

static struct pbt_job with(const char *set) {
  struct pbt_job job;
  ck_ok(parse_set("a.toml", least, set, &job));
  return job;
}

START_TEST(set_replaces_the_file) {
  ck_assert_double_eq(with("search.lr.low=0.01").search.hparam[0].low, 0.01);
  ck_assert_double_eq(with("search.lr.low=0.01").search.hparam[0].start_low, 0.01);
  struct pbt_job job = with("ready.epochs=2");
  ck_assert_double_eq(job.ready.epochs, 2);
  ck_assert_int_eq(job.ready.steps, 0);
  job = with("budget.steps=5000");
  ck_assert_int_eq(job.budget.steps, 5000);
  ck_assert_int_eq(job.budget.generations, 0);
  job = with("explore.factors=[0.5, 2, 3]");
  ck_assert_int_eq(job.explore.n_factor, 3);
  ck_assert_double_eq(job.explore.factor[2], 3);
  ck_assert_str_eq(with("output=/tmp/x y").output, "/tmp/x y");
  ck_assert_str_eq(with("output=2024").output, "2024");
  ck_assert_str_eq(with("output=\"q\"").output, "q");
  ck_assert_uint_eq(with("seed=7").data.seed, 7);
  ck_assert_int_eq(with("backend=cpu").backend, PBT_BACKEND_CPU);
  ck_assert_int_eq(with("task.metric=loss").task.sense, PBT_MINIMIZE);
  ck_assert_int_eq(with("task.metric=balanced_loss").task.sense, PBT_MINIMIZE);
  ck_assert_int_eq(with("threads=auto").threads, 0);
  ck_assert_int_eq(with("threads=3").threads, 3);
  ck_assert(with("optimizer.nesterov=true").optimizer.nesterov);
  ck_assert_double_eq(with("optimizer.kind=sgd").optimizer.lr, 0.05);
  ck_assert_double_eq(with("optimizer.kind=adam").optimizer.lr, 0.001);
  job = with("search.lr={kind=\"real\", low=0.1, high=0.2}");
  ck_assert_int_eq(job.search.hparam[0].kind, PBT_REAL);
  ck_assert_double_eq(job.search.hparam[0].start_high, 0.2);
  const char *const fixed[] = {"optimizer.lr=0.3", "explore.kind=none"};
  struct pbt_job_source source = {.path = "a.toml",
                                  .text = least,
                                  .bytes = sizeof least - 1,
                                  .set = fixed,
                                  .n_set = 2,
                                  .ranks = 1};
  ck_ok(pbt_job_parse(&source, &job));
  ck_assert_int_eq(job.search.n, 0);
  ck_assert_double_eq(job.optimizer.lr, 0.3);
}
END_TEST

START_TEST(set_that_is_wrong_names_itself) {
  struct pbt_job job;
  const struct {
    const char *set, *words;
    pbt_status status;
  } bad[] = {
      {"nonsense", "not KEY=VALUE", PBT_ERR_USAGE},
      {"=3", "not KEY=VALUE", PBT_ERR_USAGE},
      {"sed=3", "--set sed=3: unknown key `sed`", PBT_ERR_DATA},
      {"sed=3", "did you mean `seed`?", PBT_ERR_DATA},
      {"se ed=3", "no key of a job file looks like this", PBT_ERR_DATA},
      {"seed=three", "`seed` is a string; it must be an integer at least 0",
       PBT_ERR_DATA},
      {"threads=some", "it must be an integer from 1 to 256, or \"auto\"", PBT_ERR_DATA},
      {"threads=0", "`threads` = 0 is not allowed", PBT_ERR_DATA},
      {"optimizer.nesterov=1", "is an integer; it must be true or false", PBT_ERR_DATA},
      {"optimizer.beta1=0.5", "no meaning with kind = \"sgd\", only with \"adam\"",
       PBT_ERR_DATA},
      {"network.kind=layers", "`network.layers` is missing", PBT_ERR_DATA},
      {"seed=-1", "`seed` = -1 is not allowed", PBT_ERR_DATA},
      {"seed=99999999999999999999", "`seed` is a string", PBT_ERR_DATA},
      {"explore.factors=[0.8,", "--set explore.factors=[0.8,: Error", PBT_ERR_DATA},
      {"explore.factors=[0.8, 1]", "`explore.factors[1]` = 1 is not allowed",
       PBT_ERR_DATA},
      {"output=a\nb", "control characters", PBT_ERR_DATA},
      {"output=a\033[1m", "control characters", PBT_ERR_DATA},
      {"output=\"\\u0007\"", "control characters", PBT_ERR_DATA},
      {"output=\xff\xfe", "UTF-8", PBT_ERR_DATA},
      {"name=a/b", "cannot name a folder", PBT_ERR_DATA},
      {"name=..", "cannot name a folder", PBT_ERR_DATA},
      {"threads=1\nseed = 3", "more than one value", PBT_ERR_DATA},
      {"data.folder=/x", "has no meaning with kind = \"digits\"", PBT_ERR_DATA},
      {"data.kind=idx", "`data.folder` is missing", PBT_ERR_DATA},
      {"search.lr.high=1e-5", "low = 1e-4 is not below high = 1e-5", PBT_ERR_DATA},
      {"search.momentum.low=0.1", "`search.momentum.kind` is missing", PBT_ERR_DATA},
      {"search.beta={kind=\"real\"}", "unknown hyperparameter `beta`", PBT_ERR_DATA},
      {"search={}", "nothing to search", PBT_ERR_DATA},
      {"data=3", "`data` must be a table", PBT_ERR_DATA},
      {"network=mlp", "`network` must be a table", PBT_ERR_DATA},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_fails(parse_set("a.toml", least, bad[i].set, &job), bad[i].status, bad[i].words);
    ck_assert_int_eq(pbt_mem_balance(), 0);
  }
  char longest[700] = "data.folder=";
  memset(longest + 12, 'x', 600);
  ck_fails(parse_set("a.toml", least, longest, &job), PBT_ERR_DATA,
           "is 600 bytes long; at most 511 fit");
}
END_TEST

START_TEST(fewer_members_than_ranks_is_a_usage_error) {
  struct pbt_job job;
  const char *const set[] = {"population.size=4"};
  struct pbt_job_source source = {.path = "a.toml",
                                  .text = least,
                                  .bytes = sizeof least - 1,
                                  .set = set,
                                  .n_set = 1,
                                  .ranks = 8};
  ck_fails(pbt_job_parse(&source, &job), PBT_ERR_USAGE,
           "population.size = 4 but 8 ranks");
}
END_TEST

static void difference(const char *set_a, const char *set_b, const char *lines) {
  struct pbt_text text[2] = {{0}, {0}}, found = {0};
  const char *const set[] = {set_a, set_b};
  for (int i = 0; i < 2; i++) {
    struct pbt_job_source source = {.path = "a.toml",
                                    .text = least,
                                    .bytes = sizeof least - 1,
                                    .set = &set[i],
                                    .n_set = 1,
                                    .ranks = 3};
    struct pbt_job job;
    ck_ok(pbt_job_parse(&source, &job));
    ck_ok(pbt_job_effective(&source, &job, &text[i]));
  }
  ck_ok(pbt_job_difference(text[0].data, text[1].data, &found));
  ck_assert_str_eq(found.data != NULL ? found.data : "", lines);
  pbt_text_free(&text[0]);
  pbt_text_free(&text[1]);
  pbt_text_free(&found);
}

START_TEST(the_difference_names_what_may_not_change) {
  difference("seed=1", "seed=2", "seed: 1 -> 2\ndata.seed: 1 -> 2\n");
  difference("threads=1", "threads=4", "");
  difference("name=a", "name=b", ""); // and with it the output
  difference("budget.generations=3", "budget.epochs=2.5", "");
  difference("checkpoint.every=3", "checkpoint.keep=5", "");
  difference("ready.steps=50", "ready.epochs=2",
             "ready.epochs: (none) -> 2.0\nready.steps: 50 -> (none)\n");
  difference("explore.factors=[0.5]", "explore.factors=[0.5, 2.0]",
             "explore.factors: [0.5] -> [0.5, 2.0]\n");
  difference("search.lr.high=0.5", "search.lr.high=1",
             "search.lr.high: 0.5 -> 1.0\nsearch.lr.start_high: 0.5 -> 1.0\n");
  difference("exploit.kind=truncation", "exploit.kind=none",
             "exploit.kind: \"truncation\" -> \"none\"\n");
}
END_TEST

PBT_TEST_MAIN("job_parse", a_short_job_takes_defaults, the_effective_job_is_the_same_job,
              the_built_in_job_is_the_file, marks_what_the_user_did_not_write,
              set_replaces_the_file, set_that_is_wrong_names_itself,
              fewer_members_than_ranks_is_a_usage_error,
              the_difference_names_what_may_not_change)
