#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "record/run_folder.h"
#include "tests/test.h"

static const char run[] = "run_run", lock[] = "run_run/lock";

static void start(void) {
  ck_ok(pbt_file_remove(run));
  unsetenv("SLURM_JOB_ID");
}

/* A child that takes the lock and then waits to be killed. */
static pid_t holder(void) {
  int ready[2];
  ck_assert_int_eq(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    char said = pbt_run_lock(run, false) == PBT_OK ? 'y' : 'n';
    if (write(ready[1], &said, 1) == 1) {
      pause();
    }
    _exit(0);
  }
  char said = 0;
  ck_assert_int_eq(read(ready[0], &said, 1), 1);
  ck_assert_int_eq(said, 'y');
  close(ready[0]);
  close(ready[1]);
  return child;
}

static void end(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

/* The lock with one line replaced by "KEY VALUE". */
static void rewrite(const char *key, const char *value) {
  char *data, text[4096] = "";
  size_t bytes;
  ck_ok(pbt_file_read(lock, 4096, &data, &bytes));
  for (char *line = strtok(data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    size_t at = strlen(text);
    if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ' ') {
      snprintf(text + at, sizeof text - at, "%s %s\n", key, value);
    } else {
      snprintf(text + at, sizeof text - at, "%s\n", line);
    }
  }
  pbt_mem_free(data);
  ck_ok(pbt_file_replace(lock, text, strlen(text)));
}

START_TEST(a_lock_is_taken_once_and_given_back) {
  start();
  int64_t before = pbt_mem_balance();
  ck_ok(pbt_run_lock(run, false));
  ck_assert(pbt_file_exists(lock));
  ck_fails(pbt_run_lock(run, false), PBT_ERR_UNAVAILABLE, "in use by process");
  pbt_run_unlock(run);
  ck_assert(!pbt_file_exists(lock));
  ck_ok(pbt_run_lock(run, false));
  pbt_run_unlock(run);
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

START_TEST(a_living_holder_is_respected_and_named) {
  start();
  pid_t child = holder();
  char pid[64];
  snprintf(pid, sizeof pid, "in use by process %d on ", (int)child);
  ck_fails(pbt_run_lock(run, false), PBT_ERR_UNAVAILABLE, pid);
  pbt_run_unlock(run); // not ours: stays
  ck_assert(pbt_file_exists(lock));
  ck_ok(pbt_run_lock(run, true)); // the user knows better
  pbt_run_unlock(run);
  ck_assert(!pbt_file_exists(lock));
  end(child);
}
END_TEST

START_TEST(a_dead_holder_is_taken_over) {
  start();
  end(holder());
  ck_ok(pbt_run_lock(run, false));
  pbt_run_unlock(run);
}
END_TEST

/* The pid lives, but it is another process than the one that took the lock. */
START_TEST(a_pid_that_was_used_again_is_no_holder) {
  start();
  pid_t child = holder();
  rewrite("start", "1");
  ck_ok(pbt_run_lock(run, false));
  pbt_run_unlock(run);
  end(child);
}
END_TEST

START_TEST(a_reboot_frees_the_lock_and_another_host_does_not) {
  start();
  pid_t child = holder();
  rewrite("boot", "another");
  ck_ok(pbt_run_lock(run, false));
  rewrite("host", "elsewhere");
  ck_fails(pbt_run_lock(run, false), PBT_ERR_UNAVAILABLE, "on elsewhere");
  rewrite("job", "77");
  ck_fails(pbt_run_lock(run, false), PBT_ERR_UNAVAILABLE, "SLURM job 77");
  setenv("SLURM_JOB_ID", "78", 1);
  ck_fails(pbt_run_lock(run, false), PBT_ERR_UNAVAILABLE, "SLURM job 77");
  setenv("SLURM_JOB_ID", "77", 1); // the same job, requeued to another host
  ck_ok(pbt_run_lock(run, false));
  pbt_run_unlock(run);
  end(child);
}
END_TEST

START_TEST(the_same_slurm_job_does_not_evict_its_living_self) {
  start();
  setenv("SLURM_JOB_ID", "77", 1);
  pid_t child = holder();
  ck_fails(pbt_run_lock(run, false), PBT_ERR_UNAVAILABLE, "SLURM job 77");
  end(child);
}
END_TEST

START_TEST(a_lock_that_cannot_be_read_is_left_to_the_user) {
  start();
  ck_ok(pbt_file_make_folders(run));
  ck_ok(pbt_file_replace(lock, "", 0));
  ck_fails(pbt_run_lock(run, false), PBT_ERR_UNAVAILABLE, "does not say by whom");
  ck_ok(pbt_run_lock(run, true));
  pbt_run_unlock(run);
}
END_TEST

/* Eight processes meet a dead lock at the same moment, many times: one gets it. */
START_TEST(of_many_that_take_over_one_wins) {
  enum { ROUNDS = 8 }; // a second each: the losers are patient
  for (int round = 0; round < 8; round++) {
    start();
    end(holder());
    int result[2], gate[2];
    ck_assert_int_eq(pipe(result) | pipe(gate), 0);
    pid_t child[8];
    for (int i = 0; i < 8; i++) {
      child[i] = fork();
      if (child[i] == 0) {
        char c;
        close(gate[1]);
        (void)!read(gate[0], &c, 1); // until the parent closes the other end
        c = pbt_run_lock(run, false) == PBT_OK ? 'y' : 'n';
        (void)!write(result[1], &c, 1);
        pause();
      }
    }
    close(gate[0]);
    close(gate[1]);
    int winners = 0;
    for (int i = 0; i < 8; i++) {
      char c;
      ck_assert_int_eq(read(result[0], &c, 1), 1);
      winners += c == 'y';
    }
    for (int i = 0; i < 8; i++) {
      end(child[i]);
    }
    close(result[0]);
    close(result[1]);
    ck_assert_int_eq(winners, 1);
  }
}
END_TEST

START_TEST(an_old_run_is_moved_to_the_first_free_name) {
  start();
  char moved[PBT_PATH_BYTES];
  for (int i = 1; i <= 3; i++) {
    char name[64];
    snprintf(name, sizeof name, "run_run.%d", i);
    ck_ok(pbt_file_remove(name));
  }
  ck_ok(pbt_run_set_aside(run, moved));
  ck_assert_str_eq(moved, "");
  for (int i = 1; i <= 2; i++) {
    char name[64];
    ck_ok(pbt_file_make_folders(run));
    ck_ok(pbt_file_replace("run_run/job.toml", "x", 1));
    ck_ok(pbt_run_set_aside("run_run//", moved));
    snprintf(name, sizeof name, "run_run.%d", i);
    ck_assert_str_eq(moved, name);
    ck_assert(!pbt_file_exists(run));
    snprintf(name, sizeof name, "run_run.%d/job.toml", i);
    ck_assert(pbt_file_exists(name));
    snprintf(name, sizeof name, "run_run.%d/lock", i);
    ck_assert(!pbt_file_exists(name));
  }
  pid_t child = holder();
  ck_fails(pbt_run_set_aside(run, moved), PBT_ERR_UNAVAILABLE, "in use by process");
  end(child);
}
END_TEST

static void expect(const char *text) {
  char *data;
  size_t bytes;
  ck_ok(pbt_file_read("run_run/progress.jsonl", 1 << 20, &data, &bytes));
  ck_assert_str_eq(data, text);
  pbt_mem_free(data);
}

#define LINE(g) "{\"generation\": " #g ", \"best\": 0.5}"

START_TEST(progress_is_cut_to_what_is_kept) {
  start();
  int64_t before = pbt_mem_balance();
  ck_ok(pbt_file_make_folders(run));
  struct pbt_progress *progress;
  ck_ok(pbt_progress_open(run, 0, &progress));
  ck_ok(pbt_progress_append(progress, LINE(0)));
  ck_ok(pbt_progress_append(progress, LINE(1)));
  ck_ok(pbt_progress_append(progress, LINE(2)));
  pbt_progress_close(progress);
  expect(LINE(0) "\n" LINE(1) "\n" LINE(2) "\n");
  ck_ok(pbt_progress_open(run, 2, &progress));
  expect(LINE(0) "\n" LINE(1) "\n");
  ck_ok(pbt_progress_append(progress, LINE(2)));
  pbt_progress_close(progress);
  static const char torn[] = LINE(0) "\n" LINE(1) "\nrubbish\n" LINE(1) "\n" LINE(2);
  ck_ok(pbt_file_replace("run_run/progress.jsonl", torn, sizeof torn - 1));
  ck_ok(pbt_progress_open(run, 10, &progress));
  ck_ok(pbt_progress_append(progress, LINE(2)));
  pbt_progress_close(progress);
  expect(LINE(0) "\n" LINE(1) "\n" LINE(2) "\n");
  ck_ok(pbt_progress_open(run, 0, &progress));
  expect("");
  pbt_progress_close(progress);
  pbt_progress_close(NULL);
  ck_fails(pbt_progress_open("no/such/run", 0, &progress), PBT_ERR_IO, "cannot open");
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

PBT_TEST_MAIN("record_run", a_lock_is_taken_once_and_given_back,
              a_living_holder_is_respected_and_named, a_dead_holder_is_taken_over,
              a_pid_that_was_used_again_is_no_holder,
              a_reboot_frees_the_lock_and_another_host_does_not,
              the_same_slurm_job_does_not_evict_its_living_self,
              a_lock_that_cannot_be_read_is_left_to_the_user,
              of_many_that_take_over_one_wins, an_old_run_is_moved_to_the_first_free_name,
              progress_is_cut_to_what_is_kept)
