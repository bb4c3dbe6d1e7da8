/*
 * checkpoint_set.c - many files that count as one, or not at all.
 *
 * RUN/checkpoints/000012/manifest is the last thing written of a set and the first thing
 * read of it: plain lines, each file with its size and digest, the digest of the lines
 * themselves at the end.  So a set without a manifest never was one, and a file that was
 * torn, exchanged with another or flipped by a bit is found by us, in bytes, before any
 * parser meets it.  What is on the disk is ordered by fsync: files, their folder, the
 * folder of sets, the manifest, its folder.
 *
 * Fault sites: checkpoint_write (each file of a set), manifest_write.
 */
#include "record/checkpoint_set.h"

#include "base/digest.h" // pbt_digest
#include "base/fault.h"  // pbt_fault
#include "base/log.h"    // pbt_warn
#include "base/memory.h" // pbt_mem_alloc

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MANIFEST_LIMIT = 1 << 26, // bytes: half a million files
  MEMBER_LIMIT = 1 << 20,
  SEAL_BYTES = sizeof "xxh3 0123456789abcdef\n" - 1
};

static const char folder_name[] = "checkpoints";
static const char manifest_name[] = "manifest";
static const char first_line[] = "pbt_mpi checkpoint 1\n";

static pbt_status sets_folder(const char *run, char path[PBT_PATH_BYTES]) {
  return pbt_path_join(path, run, folder_name);
}

static pbt_status set_path(const char *run, int64_t set, char path[PBT_PATH_BYTES]) {
  char name[64];
  snprintf(name, sizeof name, "%s/%06lld", folder_name, (long long)set);
  return pbt_path_join(path, run, name);
}

static pbt_status file_path(const char *run, int64_t set, const char *name,
                            char path[PBT_PATH_BYTES]) {
  char folder[PBT_PATH_BYTES];
  PBT_TRY(set_path(run, set, folder));
  return pbt_path_join(path, folder, name);
}

/* A name is one word of a path: nothing that leaves the folder or breaks a line. */
static bool good_name(const char *name) {
  size_t n = strlen(name);
  if (n == 0 || n >= PBT_SET_FILE_NAME || name[0] == '.') {
    return false;
  }
  for (size_t i = 0; i < n; i++) {
    if (!isalnum((unsigned char)name[i]) && strchr("-_.", name[i]) == NULL) {
      return false;
    }
  }
  return true;
}

pbt_status pbt_set_folder(const char *run, int64_t set, bool fresh,
                          char path[PBT_PATH_BYTES]) {
  PBT_TRY(set_path(run, set, path));
  if (fresh) {
    char manifest[PBT_PATH_BYTES];
    PBT_TRY(pbt_path_join(manifest, path, manifest_name));
    if (pbt_file_exists(manifest)) {
      return PBT_BUG("a committed checkpoint set would be overwritten");
    }
    PBT_TRY(pbt_file_remove(path));
  }
  return pbt_file_make_folders(path);
}

static pbt_status describe(struct pbt_set_file *file, const char *name, const void *data,
                           size_t bytes) {
  if (!good_name(name)) {
    return PBT_BUG("a checkpoint file has a name that the manifest cannot hold");
  }
  *file = (struct pbt_set_file){.bytes = bytes, .digest = pbt_digest(data, bytes)};
  snprintf(file->name, sizeof file->name, "%s", name);
  return PBT_OK;
}

pbt_status pbt_set_write(const char *set_folder, const char *name, const void *data,
                         size_t bytes, struct pbt_set_file *file) {
  char path[PBT_PATH_BYTES];
  PBT_TRY(describe(file, name, data, bytes));
  PBT_TRY(pbt_path_join(path, set_folder, name));
  PBT_TRY(pbt_fault("checkpoint_write", PBT_ERR_IO));
  return pbt_file_replace(path, data, bytes);
}

pbt_status pbt_set_adopt(const char *set_folder, const char *name, const char *path,
                         struct pbt_set_file *file) {
  char here[PBT_PATH_BYTES];
  PBT_TRY(pbt_path_join(here, set_folder, name));
  PBT_TRY(pbt_fault("checkpoint_write", PBT_ERR_IO));
  PBT_TRY(pbt_file_link(path, here));
  char *data;
  size_t bytes;
  PBT_TRY(pbt_file_read(here, SIZE_MAX / 2, &data, &bytes));
  pbt_status status = describe(file, name, data, bytes);
  pbt_mem_free(data);
  return status;
}

/* ---- the manifest as text ---- */

static pbt_status manifest_text(const struct pbt_manifest *manifest,
                                struct pbt_text *text) {
  pbt_text_add(text, "%sset %" PRId64 "\ngeneration %" PRId64 "\nmembers %" PRId64 "\n",
               first_line, manifest->set, manifest->generation, manifest->n_member);
  pbt_text_add(text, "finished %d\nfiles %zu\n", manifest->finished, manifest->n_file);
  for (size_t i = 0; i < manifest->n_file; i++) {
    const struct pbt_set_file *file = &manifest->file[i];
    if (!good_name(file->name)) {
      return PBT_BUG("a checkpoint file has a name that the manifest cannot hold");
    }
    pbt_text_add(text, "file %s %" PRIu64 " %016" PRIx64 "\n", file->name, file->bytes,
                 file->digest);
  }
  PBT_TRY(text->status);
  pbt_text_add(text, "xxh3 %016" PRIx64 "\n", pbt_digest(text->data, text->length));
  return text->status;
}

/* Reads "KEY NUMBER\n" and moves on; false if the line says something else. */
static bool take_number(const char **at, const char *key, int64_t limit, int64_t *value) {
  size_t n = strlen(key);
  if (strncmp(*at, key, n) != 0 || (*at)[n] != ' ' ||
      !isdigit((unsigned char)(*at)[n + 1])) {
    return false;
  }
  char *end;
  errno = 0;
  long long number = strtoll(*at + n + 1, &end, 10);
  if (errno != 0 || number > limit || *end != '\n') {
    return false;
  }
  *value = number;
  *at = end + 1;
  return true;
}

static bool take_file(const char **at, struct pbt_set_file *file) {
  int length = 0;
  if (sscanf(*at, "file %31s %" SCNu64 " %16" SCNx64 "%n", file->name, &file->bytes,
             &file->digest, &length) != 3 ||
      (*at)[length] != '\n' || !good_name(file->name)) {
    return false;
  }
  *at += length + 1;
  return true;
}

/* The digest line is the last and seals all before it. */
static bool sealed(const char *text, size_t bytes) {
  if (bytes < SEAL_BYTES) {
    return false;
  }
  char seal[SEAL_BYTES + 1];
  snprintf(seal, sizeof seal, "xxh3 %016" PRIx64 "\n",
           pbt_digest(text, bytes - SEAL_BYTES));
  return memcmp(text + bytes - SEAL_BYTES, seal, SEAL_BYTES) == 0;
}

static pbt_status parse(const char *path, const char *text, size_t bytes,
                        struct pbt_manifest *manifest) {
  int64_t finished = 0, files = 0;
  const char *at = text;
  if (strncmp(at, "pbt_mpi checkpoint ", 19) != 0) {
    return pbt_fail(PBT_ERR_DATA, "%s is no manifest", path);
  }
  if (!sealed(text, bytes)) {
    return pbt_fail(PBT_ERR_DATA, "%s is damaged (its digest does not match)", path);
  }
  if (strncmp(at, first_line, sizeof first_line - 1) != 0) {
    return pbt_fail(PBT_ERR_DATA, "%s is of a version that this program does not know",
                    path);
  }
  at += sizeof first_line - 1;
  bool fine = take_number(&at, "set", INT64_MAX, &manifest->set) &&
              take_number(&at, "generation", INT64_MAX, &manifest->generation) &&
              take_number(&at, "members", MEMBER_LIMIT, &manifest->n_member) &&
              take_number(&at, "finished", 1, &finished) &&
              take_number(&at, "files", (int64_t)(bytes / sizeof "file x 0 0"), &files);
  manifest->finished = finished != 0;
  if (fine) {
    PBT_TRY(PBT_NEW(files > 0 ? files : 1, &manifest->file));
  }
  for (manifest->n_file = 0; fine && manifest->n_file < (size_t)files;
       manifest->n_file++) {
    fine = take_file(&at, &manifest->file[manifest->n_file]);
  }
  if (!fine || at != text + bytes - SEAL_BYTES) {
    return pbt_fail(PBT_ERR_DATA, "%s cannot be understood", path);
  }
  return PBT_OK;
}

void pbt_manifest_free(struct pbt_manifest *manifest) {
  pbt_mem_free(manifest->file);
  *manifest = (struct pbt_manifest){0};
}

static pbt_status read_manifest(const char *run, int64_t set,
                                struct pbt_manifest *manifest) {
  char path[PBT_PATH_BYTES], *text;
  size_t bytes;
  *manifest = (struct pbt_manifest){0};
  PBT_TRY(file_path(run, set, manifest_name, path));
  if (!pbt_file_exists(path)) {
    return pbt_fail(PBT_ERR_DATA, "no manifest (it was never finished)");
  }
  PBT_TRY(pbt_file_read(path, MANIFEST_LIMIT, &text, &bytes));
  pbt_status status = parse(path, text, bytes, manifest);
  pbt_mem_free(text);
  if (status == PBT_OK && manifest->set != set) {
    status = pbt_fail(PBT_ERR_DATA, "%s belongs to set %" PRId64, path, manifest->set);
  }
  if (status != PBT_OK) {
    pbt_manifest_free(manifest);
  }
  return status;
}

/* ---- the files of a set ---- */

/* There, with its size?  Cheap: no byte is read. */
static pbt_status check_size(const char *run, int64_t set,
                             const struct pbt_set_file *file) {
  char path[PBT_PATH_BYTES];
  struct stat info;
  PBT_TRY(file_path(run, set, file->name, path));
  if (stat(path, &info) != 0) {
    return pbt_fail_errno(PBT_ERR_DATA, "cannot open %s", path);
  }
  if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size != file->bytes) {
    return pbt_fail(PBT_ERR_DATA, "%s has %lld bytes where the manifest says %" PRIu64,
                    path, (long long)info.st_size, file->bytes);
  }
  return PBT_OK;
}

/* Nothing leaves here that has not its size and digest. */
static pbt_status read_checked(const char *run, int64_t set,
                               const struct pbt_set_file *file, char **data,
                               size_t *bytes) {
  char path[PBT_PATH_BYTES];
  *data = NULL;
  PBT_TRY(check_size(run, set, file));
  PBT_TRY(file_path(run, set, file->name, path));
  PBT_TRY(pbt_file_read(path, file->bytes, data, bytes));
  if (*bytes != file->bytes || pbt_digest(*data, *bytes) != file->digest) {
    pbt_mem_free(*data);
    *data = NULL;
    return pbt_fail(PBT_ERR_DATA, "%s is damaged (its digest does not match)", path);
  }
  return PBT_OK;
}

static pbt_status check_files(const char *run, const struct pbt_manifest *manifest,
                              bool bytes_too) {
  for (size_t i = 0; i < manifest->n_file; i++) {
    if (!bytes_too) {
      PBT_TRY(check_size(run, manifest->set, &manifest->file[i]));
      continue;
    }
    char *data;
    size_t bytes;
    PBT_TRY(read_checked(run, manifest->set, &manifest->file[i], &data, &bytes));
    pbt_mem_free(data);
  }
  return PBT_OK;
}

pbt_status pbt_set_read(const char *run, const struct pbt_manifest *manifest,
                        const char *name, char **data, size_t *bytes) {
  *data = NULL;
  *bytes = 0;
  for (size_t i = 0; i < manifest->n_file; i++) {
    if (strcmp(manifest->file[i].name, name) == 0) {
      return read_checked(run, manifest->set, &manifest->file[i], data, bytes);
    }
  }
  return pbt_fail(PBT_ERR_DATA, "checkpoint %06" PRId64 " holds no %s", manifest->set,
                  name);
}

/* ---- all sets of a run ---- */

struct set_list {
  int64_t *number; // descending
  size_t n;
};

static int descending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x < y) - (x > y);
}

/* A folder's number, or -1: what else people put there is none of our business. */
static int64_t set_number(const char *name) {
  size_t n = strlen(name);
  if (n < 6 || n > 18 || strspn(name, "0123456789") != n) {
    return -1;
  }
  return strtoll(name, NULL, 10);
}

static pbt_status read_names(DIR *folder, struct set_list *list) {
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    int64_t number = set_number(entry->d_name);
    if (number < 0) {
      continue;
    }
    if ((list->n & (list->n - 1)) == 0) { // room doubles at every power of two
      int64_t *more;
      PBT_TRY(PBT_NEW(list->n == 0 ? 1 : 2 * list->n, &more));
      if (list->n > 0) {
        memcpy(more, list->number, list->n * sizeof *more);
      }
      pbt_mem_free(list->number);
      list->number = more;
    }
    list->number[list->n++] = number;
  }
  return PBT_OK;
}

static pbt_status list_sets(const char *run, struct set_list *list) {
  char path[PBT_PATH_BYTES];
  *list = (struct set_list){0};
  PBT_TRY(sets_folder(run, path));
  DIR *folder = opendir(path);
  if (folder == NULL) {
    return errno == ENOENT ? PBT_OK
                           : pbt_fail_errno(PBT_ERR_IO, "cannot open folder %s", path);
  }
  pbt_status status = read_names(folder, list);
  closedir(folder);
  if (status != PBT_OK) {
    pbt_mem_free(list->number);
    *list = (struct set_list){0};
    return status;
  }
  if (list->n > 1) {
    qsort(list->number, list->n, sizeof *list->number, descending);
  }
  return PBT_OK;
}

pbt_status pbt_set_list(const char *run, int64_t **number, size_t *n) {
  struct set_list list;
  PBT_TRY(list_sets(run, &list));
  *number = list.number;
  *n = list.n;
  return PBT_OK;
}

pbt_status pbt_set_check(const char *run, int64_t set, struct pbt_manifest *manifest) {
  char path[PBT_PATH_BYTES];
  *manifest = (struct pbt_manifest){0};
  PBT_TRY(file_path(run, set, manifest_name, path));
  if (!pbt_file_exists(path)) {
    return pbt_fail(PBT_ERR_MISSING, "it has no manifest: it was never finished");
  }
  PBT_TRY(read_manifest(run, set, manifest));
  pbt_status status = check_files(run, manifest, true);
  if (status != PBT_OK) {
    pbt_manifest_free(manifest);
  }
  return status;
}

pbt_status pbt_set_find(const char *run, struct pbt_manifest *manifest, bool *found,
                        int64_t *next_set, struct pbt_text *skipped) {
  struct set_list list;
  *found = false;
  *manifest = (struct pbt_manifest){0};
  PBT_TRY(list_sets(run, &list));
  *next_set = list.n > 0 ? list.number[0] + 1 : 1;
  for (size_t i = 0; i < list.n && !*found; i++) {
    pbt_status status = read_manifest(run, list.number[i], manifest);
    if (status == PBT_OK) {
      status = check_files(run, manifest, true);
    }
    *found = status == PBT_OK;
    if (!*found) {
      pbt_text_add(skipped, "checkpoint %06" PRId64 " is not used: %s\n", list.number[i],
                   pbt_error());
      pbt_error_clear();
      pbt_manifest_free(manifest);
    }
  }
  pbt_mem_free(list.number);
  return PBT_OK;
}

pbt_status pbt_set_newest(const char *run, struct pbt_manifest *manifest, bool *found) {
  struct set_list list;
  *found = false;
  *manifest = (struct pbt_manifest){0};
  PBT_TRY(list_sets(run, &list));
  for (size_t i = 0; i < list.n && !*found; i++) {
    *found = read_manifest(run, list.number[i], manifest) == PBT_OK;
    if (!*found) {
      pbt_error_clear();
      pbt_manifest_free(manifest);
    }
  }
  pbt_mem_free(list.number);
  return PBT_OK;
}

/* The manifest goes first: what is left of a removal cut short is no set. */
static pbt_status remove_set(const char *run, int64_t set) {
  char path[PBT_PATH_BYTES], folder[PBT_PATH_BYTES];
  PBT_TRY(file_path(run, set, manifest_name, path));
  PBT_TRY(set_path(run, set, folder));
  PBT_TRY(pbt_file_remove(path));
  return pbt_file_remove(folder);
}

/* Keeps the newest `keep` sets up to `newest`.  One that a glance shows to be incomplete
 * does not count, lest it push out the last good one. */
static pbt_status prune(const char *run, int64_t newest, int64_t keep) {
  struct set_list list;
  PBT_TRY(list_sets(run, &list));
  pbt_status status = PBT_OK;
  int64_t kept = 0;
  for (size_t i = 0; i < list.n && status == PBT_OK; i++) {
    if (list.number[i] > newest) {
      continue;
    }
    struct pbt_manifest manifest;
    bool whole = kept < keep && read_manifest(run, list.number[i], &manifest) == PBT_OK;
    if (whole) {
      whole = check_files(run, &manifest, false) == PBT_OK;
      pbt_manifest_free(&manifest);
    }
    pbt_error_clear();
    if (whole) {
      kept++;
    } else {
      status = remove_set(run, list.number[i]);
    }
  }
  pbt_mem_free(list.number);
  return status;
}

pbt_status pbt_set_commit(const char *run, const struct pbt_manifest *manifest,
                          int64_t keep) {
  char folder[PBT_PATH_BYTES], sets[PBT_PATH_BYTES], path[PBT_PATH_BYTES];
  PBT_TRY(set_path(run, manifest->set, folder));
  PBT_TRY(sets_folder(run, sets));
  PBT_TRY(pbt_path_join(path, folder, manifest_name));
  PBT_TRY(check_files(run, manifest, false));
  PBT_TRY(pbt_file_sync_folder(folder));
  PBT_TRY(pbt_file_sync_folder(sets));
  PBT_TRY(pbt_file_sync_folder(run));
  struct pbt_text text = {0};
  pbt_status status = manifest_text(manifest, &text);
  if (status == PBT_OK) {
    status = pbt_fault("manifest_write", PBT_ERR_IO);
  }
  if (status == PBT_OK) {
    status = pbt_file_replace(path, text.data, text.length);
  }
  pbt_text_free(&text);
  PBT_TRY(status);
  if (prune(run, manifest->set, keep < 1 ? 1 : keep) != PBT_OK) {
    pbt_warn("old checkpoints stay: %s", pbt_error()); // the new one is safe
    pbt_error_clear();
  }
  return PBT_OK;
}
