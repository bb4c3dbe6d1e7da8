/*
 * file.h - files that appear whole or not at all.
 *
 * Every failure is PBT_ERR_IO (PBT_ERR_MISSING where a file to read does not exist) with
 * the path and the system's reason.  Local; thread-safe.
 */
#ifndef PBT_BASE_FILE_H
#define PBT_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { PBT_PATH_BYTES = 1024 };

/* path.tmp, write, fsync, rename over path, fsync of the folder.  On failure the .tmp is
 * removed and what stood at path is untouched. */
pbt_status pbt_file_replace(const char *path, const void *data, size_t bytes);

/* The whole file in counted memory (pbt_mem_free), one NUL after it; `bytes` without the
 * NUL.  A file above `limit` bytes is PBT_ERR_DATA. */
pbt_status pbt_file_read(const char *path, size_t limit, char **data, size_t *bytes);

bool pbt_file_exists(const char *path);
bool pbt_file_is_folder(const char *path);
pbt_status pbt_file_make_folders(const char *path); // as mkdir -p
pbt_status pbt_file_sync_folder(const char *path);
pbt_status pbt_file_rename(const char *from, const char *to); // and fsync of to's folder
/* A second name for the same bytes where the file system can, else a copy; replaces `to`.
 */
pbt_status pbt_file_link(const char *from, const char *to);
/* A file, or a folder with all in it; missing is fine. */
pbt_status pbt_file_remove(const char *path);

/* Joins with one '/'; PBT_ERR_DATA if it does not fit PBT_PATH_BYTES. */
pbt_status pbt_path_join(char path[PBT_PATH_BYTES], const char *folder, const char *name);

#endif
