/*
 * fuzz.h - what the fuzz targets share.
 *
 * A target reads bytes that nobody vouches for and may only answer with a status: every
 * crash, sanitizer report, wrong promise (fuzz_check) and byte of ours that stays behind
 * is a find.  Files lie in a folder of the process, in memory where the system has
 * /dev/shm.
 */
#ifndef PBT_TESTS_FUZZ_FUZZ_H
#define PBT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* HDF5 makes and clears more than a megabyte for each file that it opens, and gives it
 * back: with this it keeps it, which spares 400 page faults an input. */
int H5set_free_list_limits(int, int, int, int, int, int);
static inline void fuzz_keep_memory_of_hdf5(void) {
  static int done;
  if (done++ == 0) {
    H5set_free_list_limits(-1, -1, -1, -1, -1, -1);
  }
}

static char fuzz_folder[64];

static void fuzz_remove_folder(void) {
  pbt_file_remove(fuzz_folder);
}

/* DIR/name, in one of a few static places. */
static inline const char *fuzz_path(const char *name) {
  static char path[8][128];
  static int at;
  if (fuzz_folder[0] == '\0') {
    snprintf(fuzz_folder, sizeof fuzz_folder, "%s/pbt_fuzz_XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(fuzz_folder) == NULL) {
      abort();
    }
    atexit(fuzz_remove_folder);
  }
  at = (at + 1) % 8;
  snprintf(path[at], sizeof path[at], "%s/%s", fuzz_folder, name);
  return path[at];
}

static inline void fuzz_put(const char *name, const void *data, size_t size) {
  FILE *out = fopen(fuzz_path(name), "wb");
  if (out == NULL || fwrite(data, 1, size, out) != size || fclose(out) != 0) {
    abort();
  }
}

static inline void fuzz_check(int holds) {
  if (!holds) {
    fprintf(stderr, "fuzz: a promise is broken; %s\n", pbt_error());
    abort();
  }
}

/* At the end of every input. */
static inline void fuzz_clean(void) {
  fuzz_check(pbt_mem_balance() == 0);
  pbt_error_clear();
}

#endif
