#include "base/file.h"

#include "base/fault.h"  // pbt_fault
#include "base/memory.h" // pbt_mem_alloc

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pbt_status write_whole(const char *path, const void *data, size_t bytes) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    return pbt_fail_errno(PBT_ERR_IO, "cannot create %s", path);
  }
  pbt_status status = pbt_fault("file_write", PBT_ERR_IO);
  const char *at = data;
  while (status == PBT_OK && bytes > 0) {
    ssize_t n = write(file, at, bytes < (1U << 30) ? bytes : 1U << 30);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      status = pbt_fail_errno(PBT_ERR_IO, "cannot write %s", path);
      break;
    }
    at += n;
    bytes -= (size_t)n;
  }
  if (status == PBT_OK && fsync(file) != 0) {
    status = pbt_fail_errno(PBT_ERR_IO, "cannot write %s", path);
  }
  if (close(file) != 0 && status == PBT_OK) {
    status = pbt_fail_errno(PBT_ERR_IO, "cannot write %s", path);
  }
  return status;
}

static void folder_of(const char *path, char folder[PBT_PATH_BYTES]) {
  const char *slash = strrchr(path, '/');
  size_t n = slash == NULL ? 0 : (size_t)(slash - path);
  if (n == 0) {
    snprintf(folder, PBT_PATH_BYTES, "%s", slash == NULL ? "." : "/");
  } else {
    snprintf(folder, PBT_PATH_BYTES, "%.*s", (int)n, path);
  }
}

pbt_status pbt_file_sync_folder(const char *path) {
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    return pbt_fail_errno(PBT_ERR_IO, "cannot open folder %s", path);
  }
  /* Some file systems cannot sync a folder; that is no failure of ours. */
  int failed = fsync(folder) != 0 && errno != EINVAL && errno != ENOTSUP;
  pbt_status status = PBT_OK;
  if (failed) {
    status = pbt_fail_errno(PBT_ERR_IO, "cannot sync folder %s", path);
  }
  close(folder);
  return status;
}

pbt_status pbt_file_rename(const char *from, const char *to) {
  char folder[PBT_PATH_BYTES];
  folder_of(to, folder);
  if (rename(from, to) != 0) {
    return pbt_fail_errno(PBT_ERR_IO, "cannot rename %s to %s", from, to);
  }
  return pbt_file_sync_folder(folder);
}

static pbt_status temporary_name(const char *path, char temporary[PBT_PATH_BYTES]) {
  int n = snprintf(temporary, PBT_PATH_BYTES, "%s.tmp", path);
  if (n >= PBT_PATH_BYTES) {
    return pbt_fail(PBT_ERR_DATA, "path too long: %s", path);
  }
  return PBT_OK;
}

pbt_status pbt_file_replace(const char *path, const void *data, size_t bytes) {
  char temporary[PBT_PATH_BYTES];
  PBT_TRY(temporary_name(path, temporary));
  pbt_status status = write_whole(temporary, data, bytes);
  if (status == PBT_OK) {
    status = pbt_file_rename(temporary, path);
  }
  if (status != PBT_OK) {
    unlink(temporary);
  }
  return status;
}

static pbt_status read_open(int file, const char *path, size_t limit, char **data,
                            size_t *bytes) {
  struct stat info;
  if (fstat(file, &info) != 0) {
    return pbt_fail_errno(PBT_ERR_IO, "cannot read %s", path);
  }
  if (!S_ISREG(info.st_mode)) {
    return pbt_fail(PBT_ERR_DATA, "%s is not a file", path);
  }
  size_t size = (size_t)info.st_size;
  if (size > limit) {
    return pbt_fail(PBT_ERR_DATA, "%s has %zu bytes, more than the %zu allowed", path,
                    size, limit);
  }
  PBT_TRY(pbt_mem_alloc(size + 1, (void **)data));
  size_t done = 0;
  while (done < size) {
    ssize_t n = read(file, *data + done, size - done);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      pbt_mem_free(*data);
      *data = NULL;
      return pbt_fail_errno(PBT_ERR_IO, "cannot read %s", path);
    }
    done += (size_t)n;
  }
  *bytes = size;
  return PBT_OK;
}

pbt_status pbt_file_read(const char *path, size_t limit, char **data, size_t *bytes) {
  *data = NULL;
  *bytes = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    pbt_status status =
        errno == ENOENT || errno == ENOTDIR ? PBT_ERR_MISSING : PBT_ERR_IO;
    return pbt_fail_errno(status, "cannot open %s", path);
  }
  pbt_status status = read_open(file, path, limit, data, bytes);
  close(file);
  return status;
}

bool pbt_file_exists(const char *path) {
  struct stat info;
  return stat(path, &info) == 0;
}

bool pbt_file_is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

pbt_status pbt_file_make_folders(const char *path) {
  char part[PBT_PATH_BYTES];
  if (strlen(path) >= sizeof part) {
    return pbt_fail(PBT_ERR_DATA, "path too long: %s", path);
  }
  for (size_t i = 1; path[i - 1] != '\0'; i++) {
    if (path[i] != '/' && path[i] != '\0') {
      continue;
    }
    memcpy(part, path, i);
    part[i] = '\0';
    if (mkdir(part, 0777) != 0 && !pbt_file_is_folder(part)) {
      return pbt_fail_errno(PBT_ERR_IO, "cannot create folder %s", part);
    }
    if (path[i] == '\0') {
      break;
    }
  }
  return PBT_OK;
}

pbt_status pbt_file_link(const char *from, const char *to) {
  char temporary[PBT_PATH_BYTES];
  PBT_TRY(temporary_name(to, temporary));
  unlink(temporary);
  if (link(from, temporary) == 0) {
    pbt_status status = pbt_file_rename(temporary, to);
    unlink(temporary); // rename leaves both names if they are of one file already
    return status;
  }
  if (errno == ENOENT) {
    return pbt_fail_errno(PBT_ERR_MISSING, "cannot open %s", from);
  }
  char *data = NULL;
  size_t bytes = 0;
  PBT_TRY(pbt_file_read(from, SIZE_MAX / 2, &data, &bytes));
  pbt_status status = pbt_file_replace(to, data, bytes);
  pbt_mem_free(data);
  return status;
}

static int remove_entry(const char *path, const struct stat *info, int kind,
                        struct FTW *walk) {
  (void)info;
  (void)kind;
  (void)walk;
  return remove(path);
}

pbt_status pbt_file_remove(const char *path) {
  struct stat info;
  if (lstat(path, &info) != 0) {
    return PBT_OK;
  }
  int failed = S_ISDIR(info.st_mode) ? nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS)
                                     : unlink(path);
  return failed ? pbt_fail_errno(PBT_ERR_IO, "cannot remove %s", path) : PBT_OK;
}

pbt_status pbt_path_join(char path[PBT_PATH_BYTES], const char *folder,
                         const char *name) {
  int n = snprintf(path, PBT_PATH_BYTES, "%s/%s", folder, name);
  if (n >= PBT_PATH_BYTES) {
    return pbt_fail(PBT_ERR_DATA, "path too long: %s/%s", folder, name);
  }
  return PBT_OK;
}
