#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "record/checkpoint_set.h"
#include "tests/test.h"

static const char run[] = "set_run";
enum { MEMBERS = 3, FILES = MEMBERS + 2 };

/* What file `i` of set `set` holds; sizes differ a little from file to file. */
static size_t content(int64_t set, int i, char data[4096]) {
  struct pbt_rng rng = pbt_rng_open((uint64_t)set, (uint32_t)i, PBT_RNG_TEST, 0);
  size_t n = 1000 + (size_t)i % 2;
  for (size_t k = 0; k < n; k++) {
    data[k] = (char)pbt_rng_u32(&rng);
  }
  return n;
}

static void name_of(int i, char name[PBT_SET_FILE_NAME]) {
  if (i < MEMBERS) {
    snprintf(name, PBT_SET_FILE_NAME, "member-%05d.h5", i);
  } else {
    snprintf(name, PBT_SET_FILE_NAME, "%s", i == MEMBERS ? "population.h5" : "best.h5");
  }
}

/* All files of a set but the manifest. */
static void write_files(int64_t set, struct pbt_set_file file[FILES]) {
  char folder[PBT_PATH_BYTES], best[PBT_PATH_BYTES], name[PBT_SET_FILE_NAME], data[4096];
  ck_ok(pbt_set_folder(run, set, true, folder));
  for (int i = 0; i < FILES; i++) {
    size_t n = content(set, i, data);
    name_of(i, name);
    if (i < FILES - 1) {
      ck_ok(pbt_set_write(folder, name, data, n, &file[i]));
    } else {
      ck_ok(pbt_path_join(best, run, "best.h5"));
      ck_ok(pbt_file_replace(best, data, n));
      ck_ok(pbt_set_adopt(folder, name, best, &file[i]));
    }
  }
}

static void make_set(int64_t set, int64_t keep) {
  struct pbt_set_file file[FILES];
  write_files(set, file);
  struct pbt_manifest manifest = {.set = set,
                                  .generation = 10 * set,
                                  .n_member = MEMBERS,
                                  .finished = set == 9,
                                  .n_file = FILES,
                                  .file = file};
  ck_ok(pbt_set_commit(run, &manifest, keep));
}

static void path_in(int64_t set, const char *name, char path[PBT_PATH_BYTES]) {
  snprintf(path, PBT_PATH_BYTES, "%s/checkpoints/%06" PRId64 "/%s", run, set, name);
}

/* Finds a set, compares every byte of it; -1 if there is none. */
static int64_t found_set(struct pbt_text *skipped) {
  struct pbt_manifest manifest;
  bool found;
  int64_t next;
  ck_ok(pbt_set_find(run, &manifest, &found, &next, skipped));
  if (!found) {
    return -1;
  }
  int64_t set = manifest.set;
  ck_assert_int_eq(manifest.generation, 10 * set);
  ck_assert_int_eq(manifest.n_member, MEMBERS);
  ck_assert_int_eq(manifest.finished, set == 9);
  ck_assert_uint_eq(manifest.n_file, FILES);
  for (int i = 0; i < FILES; i++) {
    char name[PBT_SET_FILE_NAME], want[4096], *data;
    size_t bytes, n = content(set, i, want);
    name_of(i, name);
    ck_ok(pbt_set_read(run, &manifest, name, &data, &bytes));
    ck_assert_uint_eq(bytes, n);
    ck_assert_mem_eq(data, want, n);
    pbt_mem_free(data);
  }
  pbt_manifest_free(&manifest);
  return set;
}

static void start(void) {
  umount2(run, MNT_DETACH); // a full disk that a failed test left
  ck_ok(pbt_file_remove(run));
  ck_ok(pbt_file_make_folders(run));
}

static int sets_there(void) {
  DIR *folder = opendir("set_run/checkpoints");
  int n = 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    n += entry->d_name[0] != '.';
  }
  closedir(folder);
  return n;
}

START_TEST(a_committed_set_comes_back_and_old_ones_go) {
  int64_t before = pbt_mem_balance(), next;
  start();
  struct pbt_text skipped = {0};
  struct pbt_manifest manifest;
  bool found;
  ck_ok(pbt_set_find(run, &manifest, &found, &next, &skipped));
  ck_assert(!found && skipped.length == 0);
  ck_assert_int_eq(next, 1);
  for (int64_t set = 1; set <= 5; set++) {
    make_set(set, 2);
    ck_assert_int_eq(found_set(&skipped), set);
    ck_assert_int_eq(sets_there(), set < 2 ? 1 : 2);
  }
  make_set(9, 1);
  ck_assert_int_eq(sets_there(), 1);
  ck_ok(pbt_set_find(run, &manifest, &found, &next, &skipped));
  ck_assert_int_eq(next, 10);
  ck_assert(found && manifest.finished);
  char *data;
  size_t bytes;
  ck_fails(pbt_set_read(run, &manifest, "member-00007.h5", &data, &bytes), PBT_ERR_DATA,
           "checkpoint 000009 holds no member-00007.h5");
  pbt_manifest_free(&manifest);
  ck_assert_uint_eq(skipped.length, 0);
  pbt_text_free(&skipped);
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

START_TEST(an_uncommitted_set_is_nothing_and_is_swept_away) {
  start();
  make_set(1, 2);
  struct pbt_set_file file[FILES];
  write_files(2, file);
  struct pbt_text skipped = {0};
  ck_assert_int_eq(found_set(&skipped), 1);
  ck_assert_ptr_nonnull(
      strstr(skipped.data, "checkpoint 000002 is not used: no manifest"));
  char folder[PBT_PATH_BYTES], leftover[PBT_PATH_BYTES];
  path_in(2, "leftover", leftover);
  ck_ok(pbt_file_replace(leftover, "x", 1));
  ck_ok(pbt_set_folder(run, 2, false, folder));
  ck_assert(pbt_file_exists(leftover));
  ck_ok(pbt_set_folder(run, 2, true, folder));
  ck_assert(!pbt_file_exists(leftover));
  make_set(3, 2); // 2 does not count as one of two
  ck_assert_int_eq(sets_there(), 2);
  path_in(3, "member-00000.h5", leftover);
  ck_ok(pbt_file_remove(leftover));
  ck_assert_int_eq(found_set(&skipped), 1);
  ck_fails(pbt_set_folder(run, 3, true, folder), PBT_ERR_INTERNAL, "committed");
  pbt_text_free(&skipped);
}
END_TEST

/* A file as it was before a test damaged it. */
struct saved {
  char path[PBT_PATH_BYTES];
  char *data;
  size_t bytes;
};

static struct saved save(int64_t set, const char *name) {
  struct saved saved;
  path_in(set, name, saved.path);
  ck_ok(pbt_file_read(saved.path, 1 << 20, &saved.data, &saved.bytes));
  return saved;
}

static void restore(struct saved *saved) {
  ck_ok(pbt_file_replace(saved->path, saved->data, saved->bytes));
}

static const char *const part[] = {"manifest", "member-00000.h5", "member-00002.h5",
                                   "population.h5", "best.h5"};

/* 5 files x (every bit of a byte here and there, cuts, growth, absence): always the set
 * before, never a wrong byte (found_set compares them all). */
START_TEST(any_damage_means_the_set_before) {
  int64_t before = pbt_mem_balance();
  start();
  make_set(1, 2);
  make_set(2, 2);
  struct pbt_rng rng = pbt_rng_open(1, 0, PBT_RNG_TEST, 0);
  for (size_t p = 0; p < sizeof part / sizeof *part; p++) {
    struct saved saved = save(2, part[p]);
    struct pbt_text skipped = {0};
    for (int k = 0; k < 60; k++) {
      char *copy;
      ck_ok(PBT_NEW(saved.bytes + 1, &copy));
      memcpy(copy, saved.data, saved.bytes);
      size_t n = saved.bytes;
      if (k < 40) {
        copy[pbt_rng_below(&rng, (uint32_t)n)] ^= (char)(1 << k % 8);
      } else {
        n = k == 40   ? n + 1
            : k == 41 ? 0
            : k == 42 ? n - 1
                      : pbt_rng_below(&rng, (uint32_t)n);
      }
      unlink(saved.path); // best.h5 is a link: damage this name only
      ck_ok(pbt_file_replace(saved.path, copy, n));
      ck_assert_msg(found_set(&skipped) == 1, "%s, case %d was used", part[p], k);
      pbt_mem_free(copy);
    }
    unlink(saved.path);
    ck_assert_int_eq(found_set(&skipped), 1);
    ck_assert_ptr_nonnull(strstr(skipped.data, "checkpoint 000002 is not used: "));
    restore(&saved);
    ck_assert_int_eq(found_set(&skipped), 2);
    pbt_mem_free(saved.data);
    pbt_text_free(&skipped);
  }
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

/* Both members' files have the same size, so only the digests tell. */
START_TEST(swapped_member_files_are_seen) {
  start();
  make_set(1, 2);
  make_set(2, 2);
  struct saved a = save(2, "member-00000.h5"), b = save(2, "member-00002.h5");
  ck_assert_uint_eq(a.bytes, b.bytes);
  ck_ok(pbt_file_replace(a.path, b.data, b.bytes));
  ck_ok(pbt_file_replace(b.path, a.data, a.bytes));
  struct pbt_text skipped = {0};
  ck_assert_int_eq(found_set(&skipped), 1);
  ck_assert_ptr_nonnull(strstr(skipped.data, "member-00000.h5 is damaged"));
  pbt_text_free(&skipped);
  pbt_mem_free(a.data);
  pbt_mem_free(b.data);
}
END_TEST

START_TEST(the_manifest_of_another_set_is_refused) {
  start();
  make_set(1, 2);
  make_set(2, 2);
  struct saved old = save(1, "manifest"), now = save(2, "manifest");
  ck_ok(pbt_file_replace(now.path, old.data, old.bytes));
  struct pbt_text skipped = {0};
  ck_assert_int_eq(found_set(&skipped), 1);
  ck_assert_ptr_nonnull(strstr(skipped.data, "belongs to set 1"));
  pbt_text_free(&skipped);
  pbt_mem_free(old.data);
  pbt_mem_free(now.data);
}
END_TEST

/* The last good set must not be pushed out by newer, broken ones. */
START_TEST(pruning_does_not_count_broken_sets) {
  start();
  make_set(1, 2);
  make_set(2, 2);
  struct saved file = save(2, "member-00001.h5");
  ck_ok(pbt_file_replace(file.path, file.data, file.bytes / 2));
  make_set(3, 2);
  struct pbt_text skipped = {0};
  ck_assert_int_eq(found_set(&skipped), 3);
  path_in(3, "manifest", file.path);
  unlink(file.path);
  ck_assert_int_eq(found_set(&skipped), 1);
  pbt_text_free(&skipped);
  pbt_mem_free(file.data);
}
END_TEST

START_TEST(a_set_that_lacks_a_file_is_not_committed) {
  start();
  struct pbt_set_file file[FILES];
  write_files(1, file);
  char path[PBT_PATH_BYTES];
  path_in(1, "population.h5", path);
  unlink(path);
  struct pbt_manifest manifest = {
      .set = 1, .n_member = MEMBERS, .n_file = FILES, .file = file};
  ck_fails(pbt_set_commit(run, &manifest, 2), PBT_ERR_DATA, "population.h5");
  path_in(1, "manifest", path);
  ck_assert(!pbt_file_exists(path));
}
END_TEST

START_TEST(faults_leave_the_set_before) {
  start();
  make_set(1, 2);
  char folder[PBT_PATH_BYTES];
  struct pbt_set_file file[FILES];
  setenv("PBT_FAULT", "checkpoint_write:0:1", 1);
  ck_ok(pbt_set_folder(run, 2, true, folder));
  ck_fails(pbt_set_write(folder, "member-00000.h5", "x", 1, &file[0]), PBT_ERR_IO,
           "injected fault at checkpoint_write");
  setenv("PBT_FAULT", "manifest_write:0:2", 1); // the count goes on in one process
  write_files(2, file);
  struct pbt_manifest manifest = {
      .set = 2, .n_member = MEMBERS, .n_file = FILES, .file = file};
  ck_fails(pbt_set_commit(run, &manifest, 2), PBT_ERR_IO,
           "injected fault at manifest_write");
  unsetenv("PBT_FAULT");
  struct pbt_text skipped = {0};
  ck_assert_int_eq(found_set(&skipped), 1);
  pbt_text_free(&skipped);
}
END_TEST

START_TEST(names_that_leave_the_folder_are_refused) {
  start();
  char folder[PBT_PATH_BYTES];
  struct pbt_set_file file;
  ck_ok(pbt_set_folder(run, 1, true, folder));
  const char *const bad[] = {"",    ".",   "..",   "../x",
                             "a/b", "a b", "a\nb", "a-name-of-thirty-two-characters-"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_fails(pbt_set_write(folder, bad[i], "x", 1, &file), PBT_ERR_INTERNAL, "name");
  }
}
END_TEST

/* On a file system of 256 kB, sets are written until one does not fit. */
START_TEST(a_full_disk_leaves_the_set_before) {
  start();
  if (mount("none", run, "tmpfs", 0, "size=256k") != 0) {
    printf("SKIP a_full_disk_leaves_the_set_before: cannot mount (needs root)\n");
    return;
  }
  make_set(1, 2);
  char folder[PBT_PATH_BYTES];
  struct pbt_set_file file;
  static char big[300000];
  ck_ok(pbt_set_folder(run, 2, true, folder));
  pbt_status status = pbt_set_write(folder, "member-00000.h5", big, sizeof big, &file);
  char message[PBT_ERROR_BYTES];
  snprintf(message, sizeof message, "%s", pbt_error());
  pbt_error_clear();
  struct pbt_text skipped = {0};
  int64_t set = found_set(&skipped);
  make_set(3, 2); // the torn file took no room away
  int64_t later = found_set(&skipped);
  pbt_text_free(&skipped);
  umount(run);
  ck_assert_int_eq(status, PBT_ERR_IO);
  ck_assert_ptr_nonnull(strstr(message, "No space left on device"));
  ck_assert_int_eq(set, 1);
  ck_assert_int_eq(later, 3);
}
END_TEST

PBT_TEST_MAIN("record_set", a_committed_set_comes_back_and_old_ones_go,
              an_uncommitted_set_is_nothing_and_is_swept_away,
              any_damage_means_the_set_before, swapped_member_files_are_seen,
              the_manifest_of_another_set_is_refused, pruning_does_not_count_broken_sets,
              a_set_that_lacks_a_file_is_not_committed, faults_leave_the_set_before,
              names_that_leave_the_folder_are_refused, a_full_disk_leaves_the_set_before)
