/*
 * record_lineage.h - a lineage whose every number follows from its generation and member,
 * so that a test can write any part of it and tell whether what it reads is right.
 */
#ifndef PBT_TESTS_RECORD_LINEAGE_H
#define PBT_TESTS_RECORD_LINEAGE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "record/lineage.h"
#include "tests/test.h"

int64_t pbt_h5_balance(void); // record/h5.h, which needs HDF5's headers

/* RUN is the includer's own folder: test programs run side by side. */
static const char path[] = RUN "/lineage.h5";
enum { MEMBERS = 5, HPARAMS = 4 };

static const struct pbt_hparam hparam[HPARAMS] = {
    {"lr", PBT_LOG, 1e-5, 1, 1e-4, 0.1, 0, {0}, .line = 0},
    {"momentum", PBT_REAL, 0, 0.99, 0, 0.99, 0, {0}, .line = 0},
    {"layers", PBT_INT, 1, 9, 2, 4, 0, {0}, .line = 0},
    {"batch_size", PBT_CHOICE, 0, 2, 0, 2, 3, {32, 64, 0.5}, .line = 0},
};

static int64_t planned; // generations, or 0

static inline struct pbt_lineage_info info(void) {
  return (struct pbt_lineage_info){.n_member = MEMBERS,
                                   .n_generation = planned,
                                   .n_hparam = HPARAMS,
                                   .hparam = hparam,
                                   .job_text = "name = \"t\xc3\xa4st\"\n",
                                   .job_name = "test",
                                   .metric = "accuracy",
                                   .maximize = true,
                                   .seed = UINT64_MAX - 1,
                                   .version = "0.1.0 (abc)"};
}

static inline struct pbt_lineage_start launch(int64_t first) {
  struct pbt_lineage_start start = {.time = "2026-01-31T12:00:00Z",
                                    .host = "node1",
                                    .job_id = "77",
                                    .git_id = "abc",
                                    .device = "cpu avx2",
                                    .ranks = 4,
                                    .generation = first};
  return start;
}

static inline double number(struct pbt_rng *rng) {
  return pbt_rng_below(rng, 50) == 0 ? (pbt_rng_below(rng, 2) ? NAN : INFINITY)
                                     : pbt_rng_uniform(rng) - 0.5;
}

static inline struct pbt_lineage_row one_row(int64_t g, int m) {
  struct pbt_rng rng = pbt_rng_open(77, (uint32_t)m, PBT_RNG_TEST, (uint64_t)g);
  struct pbt_lineage_row row;
  memset(&row, 0, sizeof row);
  row.fitness = number(&rng);
  row.validation_loss = number(&rng);
  row.validation_accuracy = number(&rng);
  row.validation_macro_f1 = number(&rng);
  row.training_loss = number(&rng);
  row.steps = 1000 * g + m + (INT64_C(1) << 40);
  row.parent = (int32_t)pbt_rng_below(&rng, MEMBERS + 1) - 1;
  row.event = (uint8_t)pbt_rng_below(&rng, PBT_EVENTS);
  row.digest_before = pbt_rng_u64(&rng);
  row.digest_after = pbt_rng_u64(&rng);
  for (int i = 0; i < PBT_PHASES; i++) {
    row.seconds[i] = number(&rng);
  }
  for (int i = 0; i < HPARAMS; i++) {
    bool whole = hparam[i].kind == PBT_INT || hparam[i].kind == PBT_CHOICE;
    row.value[i] = whole ? pbt_rng_below(&rng, 3) : pbt_rng_uniform(&rng);
    row.next[i] = whole ? pbt_rng_below(&rng, 3) : pbt_rng_uniform(&rng);
    row.move[i] = (uint8_t)pbt_rng_below(&rng, PBT_MOVES);
  }
  return row;
}

static inline void generation(int64_t g, struct pbt_lineage_row row[],
                              struct pbt_lineage_commit *commit) {
  for (int m = 0; m < MEMBERS; m++) {
    row[m] = one_row(g, m);
  }
  *commit = (struct pbt_lineage_commit){.generation = g,
                                        .unix_time = 1.7e9 + (double)g,
                                        .best_member = (int32_t)(g % MEMBERS),
                                        .best_generation = (int32_t)(g / 2),
                                        .best_fitness = 0.1 * (double)g,
                                        .copies = 2};
}

static inline void fresh_folder(void) {
  umount2(RUN, MNT_DETACH); // a full disk that a failed test left
  ck_ok(pbt_file_remove(RUN));
  ck_ok(pbt_file_make_folders(RUN));
}

static inline struct pbt_lineage *created(void) {
  struct pbt_lineage_info job = info();
  struct pbt_lineage_start start = launch(0);
  struct pbt_lineage *lineage;
  ck_ok(pbt_lineage_create(path, &job, &start, &lineage));
  return lineage;
}

static inline struct pbt_lineage *resumed(int64_t keep) {
  struct pbt_lineage_info job = info();
  struct pbt_lineage_start start = launch(keep);
  struct pbt_lineage *lineage;
  ck_ok(pbt_lineage_resume(path, &job, &start, keep, NULL, &lineage));
  return lineage;
}

static inline void append_to(struct pbt_lineage *lineage, int64_t from, int64_t to) {
  struct pbt_lineage_row row[MEMBERS];
  struct pbt_lineage_commit commit;
  for (int64_t g = from; g < to; g++) {
    generation(g, row, &commit);
    ck_ok(pbt_lineage_append(lineage, row, &commit));
  }
}

/* Does the reader give generation g as it was written? */
static inline bool right(struct pbt_lineage_reader *reader, int64_t g) {
  struct pbt_lineage_row row[MEMBERS], want[MEMBERS];
  struct pbt_lineage_commit commit, want_commit;
  generation(g, want, &want_commit);
  if (pbt_lineage_read(reader, g, row, &commit) != PBT_OK) {
    return false;
  }
  /* Rows hold NaNs and no padding that is not zero, so bytes can be compared. */
  return memcmp(row, want, sizeof row) == 0 && commit.generation == g &&
         commit.unix_time == want_commit.unix_time &&
         commit.best_member == want_commit.best_member &&
         commit.best_generation == want_commit.best_generation &&
         commit.best_fitness == want_commit.best_fitness && commit.copies == 2;
}

/* Generations that an ordinary reader finds, -1 with pbt_error() if it cannot open it. */
static inline int64_t count_file(void) {
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  if (pbt_lineage_open(path, &reader, &shape) != PBT_OK) {
    return -1;
  }
  pbt_lineage_reader_close(reader);
  return shape.n_generation;
}

static inline int64_t wrong_generations(int64_t n) {
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  if (pbt_lineage_open(path, &reader, &shape) != PBT_OK) {
    return n;
  }
  int64_t wrong = 0;
  for (int64_t g = 0; g < n; g++) {
    wrong += !right(reader, g);
  }
  pbt_lineage_reader_close(reader);
  return wrong;
}

/* The whole file: so many right generations and so many launches. */
static inline void check_file(int64_t n, int64_t n_start) {
  ck_assert_msg(count_file() == n, "%s", pbt_error());
  ck_assert_msg(wrong_generations(n) == 0, "%s", pbt_error());
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  struct pbt_lineage_start *start;
  int64_t starts;
  ck_ok(pbt_lineage_open(path, &reader, &shape));
  ck_ok(pbt_lineage_read_starts(reader, &start, &starts));
  ck_assert_int_eq(starts, n_start);
  for (int64_t i = 0; i < starts; i++) {
    struct pbt_lineage_start want = launch(start[i].generation);
    ck_assert_str_eq(start[i].time, want.time);
    ck_assert_str_eq(start[i].host, want.host);
    ck_assert_str_eq(start[i].job_id, want.job_id);
    ck_assert_str_eq(start[i].git_id, want.git_id);
    ck_assert_str_eq(start[i].device, want.device);
    ck_assert_int_eq(start[i].ranks, want.ranks);
  }
  pbt_mem_free(start);
  pbt_lineage_reader_close(reader);
}

static inline bool have_h5py(void) {
  return system("/usr/bin/python3 -c 'import h5py' 2> /dev/null") == 0;
}

#endif
