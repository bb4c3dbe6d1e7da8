/*
 * Every file of tests/fail/bad_jobs says in its first line how it must be refused:
 *
 *   # expect: STATUS WORDS OF THE MESSAGE
 *
 * tests/fail runs the same files under mpirun.  And 100,000 random mutations of a good
 * job are refused or taken, but never crash, leak, or give a message with control
 * characters.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "job/job.h"
#include "tests/test.h"
#include "tests/unit/job_support.h"

static bool one_plain_line(const char *message) {
  for (const char *c = message; *c != '\0'; c++) {
    if ((unsigned char)*c < 0x20 || *c == 0x7f) {
      return false;
    }
  }
  return message[0] != '\0';
}

static void check_refusal(const char *path) {
  char *text;
  size_t bytes;
  ck_ok(pbt_file_read(path, PBT_JOB_LIMIT, &text, &bytes));
  char words[512] = "";
  int status = 0;
  ck_assert_msg(sscanf(text, "# expect: %d %511[^\n]", &status, words) == 2, "%s", path);
  struct pbt_job_source source = {.path = path, .text = text, .bytes = bytes, .ranks = 4};
  struct pbt_job job;
  pbt_error_clear();
  int found = (int)pbt_job_parse(&source, &job);
  ck_assert_msg(found == status, "%s: status %d: %s", path, found, pbt_error());
  ck_assert_msg(strstr(pbt_error(), words) != NULL, "%s: %s", path, pbt_error());
  ck_assert_msg(one_plain_line(pbt_error()), "%s: %s", path, pbt_error());
  if (status == PBT_ERR_DATA) { // the place comes first: FILE:LINE:COLUMN
    int line, column;
    ck_assert_msg(strncmp(pbt_error(), path, strlen(path)) == 0, "%s", pbt_error());
    ck_assert_msg(sscanf(pbt_error() + strlen(path), ":%d:%d: ", &line, &column) == 2,
                  "%s", pbt_error());
  }
  if (getenv("PBT_TEST_SHOW") != NULL) {
    printf("%d %s\n", status, pbt_error() + (strrchr(path, '/') - path) + 1);
  }
  pbt_mem_free(text);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

START_TEST(bad_jobs_are_refused_as_they_expect) {
  char folder[512];
  in_source(folder, sizeof folder, "tests/fail/bad_jobs");
  struct dirent **entry;
  int n = scandir(folder, &entry, NULL, alphasort);
  int n_job = 0;
  for (int i = 0; i < n; i++) {
    const char *name = entry[i]->d_name;
    if (strlen(name) > 5 && strcmp(name + strlen(name) - 5, ".toml") == 0) {
      char path[1024];
      snprintf(path, sizeof path, "%s/%s", folder, name);
      check_refusal(path);
      n_job++;
    }
    free(entry[i]);
  }
  free(entry);
  ck_assert_int_ge(n_job, 20);
}
END_TEST

static const char good[] = "name = \"a job\" # with a remark\n"
                           "seed = 3\n"
                           "[data]\nkind = \"idx\"\nfolder = '/data/mnist'\n"
                           "[search.lr]\nkind = \"log\"\nlow = 1e-4\nhigh = 0.5\n"
                           "[search.momentum]\nkind = \"choice\"\noptions = [0.5, 0.9]\n"
                           "[explore]\nfactors = [0.8, 1.25]\n"
                           "[ready]\nepochs = 0.5\n[budget]\nsteps = 8_000\n";

static const char *const piece[] = {
    "[",        "]",           "[[",         "]]",
    "=",        "\"",          "\"\"\"",     "'''",
    ".",        ",",           "{",          "}",
    "#",        "\n",          "\r\n",       "\\u0000",
    "nan",      "-inf",        "1e999",      "0x7f",
    "-1",       "true",        "1979-05-27", "\xff",
    "\xc3\xa9", "\x01",        "search",     "lr",
    "a.b.c",    "[search.lr]", "kind = ",    "99999999999999"};

static size_t mutate(struct pbt_rng *rng, char *text, size_t room) {
  size_t n = sizeof good - 1;
  memcpy(text, good, n);
  for (uint32_t edit = pbt_rng_below(rng, 4) + 1; edit > 0; edit--) {
    size_t at = pbt_rng_below(rng, (uint32_t)n);
    size_t cut = pbt_rng_below(rng, 12);
    cut = at + cut > n ? n - at : cut;
    const char *in = piece[pbt_rng_below(rng, sizeof piece / sizeof *piece)];
    char one[2] = {(char)pbt_rng_u32(rng), 0};
    in = pbt_rng_below(rng, 3) == 0 ? one : in;
    size_t more = strlen(in);
    if (n - cut + more < room && n - cut + more > 0) {
      memmove(text + at + more, text + at + cut, n - at - cut);
      memcpy(text + at, in, more);
      n = n - cut + more;
    }
  }
  text[n] = '\0';
  return n;
}

START_TEST(mutations_never_crash_or_leak) {
  struct pbt_rng rng = pbt_rng_open(1, 0, PBT_RNG_TEST, 0);
  int n_good = 0;
  for (int i = 0; i < 100000; i++) {
    char text[1024];
    size_t n = mutate(&rng, text, sizeof text);
    struct pbt_job_source source = {
        .path = "fuzz.toml", .text = text, .bytes = n, .ranks = 2};
    struct pbt_job job;
    pbt_error_clear();
    pbt_status status = pbt_job_parse(&source, &job);
    if (status == PBT_OK) {
      n_good++;
      continue;
    }
    ck_assert_msg(status == PBT_ERR_DATA, "%d: %s: %s", status, pbt_error(), text);
    ck_assert_msg(strncmp(pbt_error(), "fuzz.toml:", 10) == 0, "%s", pbt_error());
    ck_assert_msg(one_plain_line(pbt_error()), "%s", pbt_error());
  }
  ck_assert_int_gt(n_good, 1000);
  ck_assert_int_lt(n_good, 99000);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

/* Nesting costs stack; there must be an end to it. */
START_TEST(deep_nesting_is_refused) {
  enum { DEPTH = 400000 };
  char *text = malloc(2 * DEPTH + 64);
  struct pbt_job job;
  for (int i = 0; i < DEPTH; i++) {
    memcpy(text + 2 * i, "a.", 2);
  }
  strcpy(text + 2 * DEPTH, "a = 1\n");
  ck_fails(parse("deep.toml", text, 1, &job), PBT_ERR_DATA, "more than 512 dots");
  strcpy(text + 2 * 500, "a = 1\n");
  ck_fails(parse("deep.toml", text, 1, &job), PBT_ERR_DATA, "unknown");
  memset(text, '[', DEPTH);
  memcpy(text, "a = ", 4);
  strcpy(text + DEPTH, "\n");
  ck_fails(parse("deep.toml", text, 1, &job), PBT_ERR_DATA, "deep.toml:1:");
  free(text);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(a_file_too_large_is_refused) {
  size_t n = PBT_JOB_LIMIT + 1;
  char *text = malloc(n + 1);
  memset(text, '#', n);
  text[n] = '\0';
  struct pbt_job job;
  ck_fails(parse("large.toml", text, 1, &job), PBT_ERR_DATA, "at most 1048576 are read");
  free(text);
}
END_TEST

PBT_TEST_MAIN("job_bad", bad_jobs_are_refused_as_they_expect,
              mutations_never_crash_or_leak, deep_nesting_is_refused,
              a_file_too_large_is_refused)
