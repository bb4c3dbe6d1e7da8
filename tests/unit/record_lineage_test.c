#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN "lineage_run"
#include "tests/unit/record_lineage.h"

START_TEST(rows_come_back_bit_for_bit) {
  fresh_folder();
  int64_t before = pbt_mem_balance(), handles = 0;
  for (int pass = 0; pass < 2; pass++) { // HDF5 makes some handles of its own at first
    handles = pbt_h5_balance();
    ck_ok(pbt_file_remove(path));
    struct pbt_lineage *lineage = created();
    append_to(lineage, 0, 20);
    ck_ok(pbt_lineage_sync(lineage));
    append_to(lineage, 20, 25);
    ck_ok(pbt_lineage_close(lineage));
    check_file(25, 1);
  }
  ck_assert_int_eq(pbt_h5_balance(), handles);
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

START_TEST(the_reader_knows_the_job) {
  fresh_folder();
  ck_ok(pbt_lineage_close(created()));
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  ck_ok(pbt_lineage_open(path, &reader, &shape));
  ck_assert_int_eq(shape.n_generation, 0);
  ck_assert_int_eq(shape.n_member, MEMBERS);
  ck_assert_int_eq(shape.n_hparam, HPARAMS);
  for (int i = 0; i < HPARAMS; i++) {
    const struct pbt_hparam *got = &shape.hparam[i], *want = &hparam[i];
    ck_assert_str_eq(got->name, want->name);
    ck_assert_int_eq(got->kind, want->kind);
    ck_assert(got->low == want->low && got->high == want->high);
    ck_assert(got->start_low == want->start_low && got->start_high == want->start_high);
    ck_assert_int_eq(got->n_option, want->n_option);
    for (int k = 0; k < got->n_option; k++) {
      ck_assert(got->option[k] == want->option[k]);
    }
  }
  struct pbt_lineage_info want = info();
  const struct pbt_lineage_info *got = pbt_lineage_reader_info(reader);
  ck_assert_str_eq(got->job_text, want.job_text);
  ck_assert_str_eq(got->job_name, want.job_name);
  ck_assert_str_eq(got->metric, want.metric);
  ck_assert_str_eq(got->version, want.version);
  ck_assert_uint_eq(got->seed, want.seed);
  ck_assert(got->maximize);
  struct pbt_lineage_row row[MEMBERS];
  struct pbt_lineage_commit commit;
  ck_fails(pbt_lineage_read(reader, 0, row, &commit), PBT_ERR_DATA, "there is no 0");
  pbt_lineage_reader_close(reader);
  pbt_lineage_reader_close(NULL);
}
END_TEST

START_TEST(a_file_without_hyperparameters_and_one_member) {
  fresh_folder();
  struct pbt_lineage_info small = info();
  small.n_member = 1;
  small.n_hparam = 0;
  struct pbt_lineage_start start = launch(0);
  struct pbt_lineage *lineage;
  ck_ok(pbt_lineage_create(path, &small, &start, &lineage));
  struct pbt_lineage_row row = {.fitness = NAN, .parent = -1, .event = PBT_RESTARTED};
  struct pbt_lineage_commit commit = {.generation = 0, .best_fitness = -INFINITY};
  ck_ok(pbt_lineage_append(lineage, &row, &commit));
  ck_ok(pbt_lineage_close(lineage));
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  ck_ok(pbt_lineage_open(path, &reader, &shape));
  ck_assert_int_eq(shape.n_hparam, 0);
  struct pbt_lineage_row got;
  ck_ok(pbt_lineage_read(reader, 0, &got, &commit));
  ck_assert(isnan(got.fitness) && got.parent == -1 && got.event == PBT_RESTARTED);
  ck_assert(isinf(commit.best_fitness));
  pbt_lineage_reader_close(reader);
}
END_TEST

START_TEST(an_old_file_is_not_overwritten) {
  fresh_folder();
  ck_ok(pbt_lineage_close(created()));
  struct pbt_lineage_info job = info();
  struct pbt_lineage_start start = launch(0);
  struct pbt_lineage *lineage;
  ck_fails(pbt_lineage_create(path, &job, &start, &lineage), PBT_ERR_IO,
           "is there already");
}
END_TEST

START_TEST(generations_come_in_order) {
  fresh_folder();
  struct pbt_lineage *lineage = created();
  struct pbt_lineage_row row[MEMBERS];
  struct pbt_lineage_commit commit;
  generation(3, row, &commit);
  ck_fails(pbt_lineage_append(lineage, row, &commit), PBT_ERR_INTERNAL, "left out");
  ck_ok(pbt_lineage_close(lineage));
}
END_TEST

START_TEST(resume_drops_what_came_after_the_checkpoint) {
  fresh_folder();
  int64_t before = pbt_mem_balance();
  struct pbt_lineage *lineage = created();
  append_to(lineage, 0, 10);
  ck_ok(pbt_lineage_close(lineage));
  lineage = resumed(6);
  ck_assert(pbt_file_exists(RUN "/lineage.h5.prev"));
  append_to(lineage, 6, 8);
  ck_ok(pbt_lineage_sync(lineage));
  ck_assert(!pbt_file_exists(RUN "/lineage.h5.prev"));
  ck_ok(pbt_lineage_close(lineage));
  check_file(8, 2);
  ck_ok(pbt_lineage_close(resumed(0)));
  check_file(0, 3);
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

/* 0, 50,000 and a billion generations: chunks of 1, 7 and as many rows as fit a page. */
START_TEST(a_resume_may_plan_for_more_generations_or_fewer) {
  static const int64_t plan[] = {0, 50000, 1000000000, 0};
  fresh_folder();
  ck_ok(pbt_lineage_close(created()));
  for (int i = 0; i < 4; i++) {
    planned = plan[i];
    int64_t keep = i == 0 ? 0 : 20 * i - 5;
    struct pbt_lineage *lineage = resumed(keep);
    append_to(lineage, keep, 20 * i + 15);
    ck_ok(pbt_lineage_close(lineage));
    check_file(20 * i + 15, i + 2);
  }
}
END_TEST

START_TEST(resume_wants_the_rows_and_the_same_population) {
  fresh_folder();
  struct pbt_lineage *lineage = created();
  append_to(lineage, 0, 4);
  ck_ok(pbt_lineage_close(lineage));
  struct pbt_lineage_info job = info();
  struct pbt_lineage_start start = launch(5);
  ck_fails(pbt_lineage_resume(path, &job, &start, 5, NULL, &lineage), PBT_ERR_DATA,
           "holds 4 generations, the checkpoint was made after 5");
  job.n_member++;
  ck_fails(pbt_lineage_resume(path, &job, &start, 2, NULL, &lineage), PBT_ERR_DATA,
           "another population");
  job = info();
  job.n_hparam--;
  ck_fails(pbt_lineage_resume(path, &job, &start, 2, NULL, &lineage), PBT_ERR_DATA,
           "another population");
  check_file(4, 1); // untouched
  ck_assert(!pbt_file_exists(RUN "/lineage.h5.new"));
  ck_assert(!pbt_file_exists(RUN "/lineage.h5.prev"));
  ck_fails(pbt_lineage_resume("nowhere/lineage.h5", &job, &start, 0, NULL, &lineage),
           PBT_ERR_MISSING, "cannot open nowhere/lineage.h5");
}
END_TEST

/* Whatever becomes of lineage.h5 between a resume and the next checkpoint, the file of
 * before is there. */
START_TEST(resume_falls_back_to_prev) {
  fresh_folder();
  struct pbt_lineage *lineage = created();
  append_to(lineage, 0, 10);
  ck_ok(pbt_lineage_close(lineage));
  ck_ok(pbt_lineage_close(resumed(7)));
  ck_assert_int_eq(truncate(path, 2000), 0);
  lineage = resumed(7);
  append_to(lineage, 7, 12);
  ck_ok(pbt_lineage_sync(lineage));
  ck_ok(pbt_lineage_close(lineage));
  check_file(12, 2); // of the launch whose file was lost nothing is known
}
END_TEST

/* A process whose write failed does not touch the file again, nor can it read it. */
static void in_a_child(void (*work)(void)) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    work();
    exit(0); // not _exit: what HDF5 does at exit is part of the test
  }
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "the writer ended with %d", how);
}

static void write_until_a_fault(void) {
  struct pbt_lineage *lineage = created();
  append_to(lineage, 0, 3);
  struct pbt_lineage_row row[MEMBERS];
  struct pbt_lineage_commit commit;
  generation(3, row, &commit);
  setenv("PBT_FAULT", "lineage_commit:0:1", 1);
  ck_fails(pbt_lineage_append(lineage, row, &commit), PBT_ERR_IO,
           "injected fault at lineage_commit");
  unsetenv("PBT_FAULT");
  ck_fails(pbt_lineage_append(lineage, row, &commit), PBT_ERR_IO, "earlier failure");
  ck_fails(pbt_lineage_sync(lineage), PBT_ERR_IO, "earlier failure");
  ck_ok(pbt_lineage_close(lineage));
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

START_TEST(faults_end_the_writing_and_keep_what_was_committed) {
  fresh_folder();
  in_a_child(write_until_a_fault);
  check_file(3, 1);
  struct pbt_lineage *lineage = resumed(3);
  append_to(lineage, 3, 5);
  ck_ok(pbt_lineage_close(lineage));
  check_file(5, 2);
}
END_TEST

static void write_until_full(void) {
  struct pbt_lineage *lineage = created();
  struct pbt_lineage_row row[MEMBERS];
  struct pbt_lineage_commit commit;
  pbt_status status = PBT_OK;
  int64_t g = 0;
  for (; status == PBT_OK && g < 100000; g++) {
    generation(g, row, &commit);
    status = pbt_lineage_append(lineage, row, &commit);
  }
  ck_assert_int_eq(status, PBT_ERR_IO);
  ck_assert_msg(strstr(pbt_error(), "No space left on device") != NULL, "%s",
                pbt_error());
  pbt_error_clear();
  ck_ok(pbt_lineage_close(lineage));
  char text[32];
  snprintf(text, sizeof text, "%d", (int)g - 1);
  ck_ok(pbt_file_replace(RUN "_acknowledged", text, strlen(text)));
}

/* On a file system of 1 MB generations are appended until one fails. */
START_TEST(a_full_disk_keeps_what_was_committed) {
  fresh_folder();
  if (mount("none", RUN, "tmpfs", 0, "size=1m") != 0) {
    printf("SKIP a_full_disk_keeps_what_was_committed: cannot mount (needs root)\n");
    return;
  }
  in_a_child(write_until_full);
  int64_t n = count_file();
  int64_t wrong = wrong_generations(n);
  umount(RUN);
  char *text;
  size_t bytes;
  ck_ok(pbt_file_read(RUN "_acknowledged", 32, &text, &bytes));
  int64_t acknowledged = atoll(text);
  pbt_mem_free(text);
  ck_ok(pbt_file_remove(RUN "_acknowledged"));
  ck_assert_int_gt(acknowledged, 10);
  ck_assert_msg(n == acknowledged || n == acknowledged + 1, "%d of %d", (int)n,
                (int)acknowledged);
  ck_assert_int_eq(wrong, 0);
}
END_TEST

START_TEST(foreign_files_are_one_line) {
  fresh_folder();
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  ck_fails(pbt_lineage_open(RUN "/none.h5", &reader, &shape), PBT_ERR_MISSING,
           "cannot open " RUN "/none.h5");
  ck_ok(pbt_file_replace(path, "", 0));
  ck_fails(pbt_lineage_open(path, &reader, &shape), PBT_ERR_DATA, "is no lineage file");
  ck_ok(pbt_file_replace(path, "hello, world\n", 13));
  ck_fails(pbt_lineage_open(path, &reader, &shape), PBT_ERR_DATA, "is no lineage file");
  if (!have_h5py()) {
    printf("SKIP half of foreign_files_are_one_line: /usr/bin/python3 has no h5py\n");
    return;
  }
  ck_assert_int_eq(system("/usr/bin/python3 -c \"import h5py; "
                          "h5py.File('" RUN "/lineage.h5', 'w')['x'] = 3\""),
                   0);
  ck_fails(pbt_lineage_open(path, &reader, &shape), PBT_ERR_DATA, "is no lineage file");
  ck_assert_int_eq(system("/usr/bin/python3 -c \"import h5py; "
                          "h5py.File('" RUN "/lineage.h5', 'w', libver='latest')"
                          "['x'] = 3\""),
                   0);
  ck_fails(pbt_lineage_open(path, &reader, &shape), PBT_ERR_DATA,
           "attribute schema_version is missing");
}
END_TEST

PBT_TEST_MAIN("record_lineage", rows_come_back_bit_for_bit, the_reader_knows_the_job,
              a_file_without_hyperparameters_and_one_member,
              an_old_file_is_not_overwritten, generations_come_in_order,
              resume_drops_what_came_after_the_checkpoint,
              a_resume_may_plan_for_more_generations_or_fewer,
              resume_wants_the_rows_and_the_same_population, resume_falls_back_to_prev,
              faults_end_the_writing_and_keep_what_was_committed,
              a_full_disk_keeps_what_was_committed, foreign_files_are_one_line)
