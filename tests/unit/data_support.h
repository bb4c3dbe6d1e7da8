/* data_support.h - a folder with a data set in it for each test, loaded and taken away.
 */
#ifndef PBT_TESTS_DATA_SUPPORT_H
#define PBT_TESTS_DATA_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/data.h"
#include "tests/test.h"

struct files {
  char folder[64];
  struct pbt_data_source source;
};

/* Says so if not: what a test with it cannot do is a skip. */
static inline bool have_h5py(void) {
  bool there = system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") == 0;
  if (!there) {
    printf("SKIP: /usr/bin/python3 has no h5py\n");
  }
  return there;
}

static inline const char *path_in(const struct files *files, const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", files->folder, name);
  return path;
}

static inline void put_file(const struct files *files, const char *name, const void *data,
                            size_t bytes) {
  FILE *out = fopen(path_in(files, name), "wb");
  ck_assert_ptr_nonnull(out);
  ck_assert_uint_eq(fwrite(data, 1, bytes, out), bytes);
  fclose(out);
}

static inline void put_gzip(const struct files *files, const char *name, const void *data,
                            size_t bytes) {
  gzFile out = gzopen(path_in(files, name), "wb1");
  ck_assert_ptr_nonnull(out);
  ck_assert_int_eq(gzwrite(out, data, (unsigned)bytes), (int)bytes);
  ck_assert_int_eq(gzclose(out), Z_OK);
}

static inline void drop_file(const struct files *files, const char *name) {
  ck_ok(pbt_file_remove(path_in(files, name)));
}

static inline pbt_status load(struct files *files, struct pbt_data_header **header) {
  files->source.folder = files->folder;
  *header = NULL;
  size_t bytes = 0;
  PBT_TRY(pbt_data_probe(&files->source, &bytes));
  void *block = NULL;
  PBT_TRY(pbt_mem_alloc(bytes, &block));
  pbt_status status = pbt_data_load(&files->source, block, bytes);
  if (status != PBT_OK) {
    pbt_mem_free(block);
    return status;
  }
  *header = block;
  return PBT_OK;
}

static inline void end(struct files *files, struct pbt_data_header *header) {
  pbt_mem_free(header);
  ck_ok(pbt_file_remove(files->folder));
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

/* Loading must fail with these words; what was loaded is nothing. */
static inline void must_fail(struct files *files, pbt_status status, const char *words) {
  struct pbt_data_header *header;
  ck_fails(load(files, &header), status, words);
  end(files, NULL);
}

static inline const uint8_t *image_of(const struct pbt_data_header *header, int64_t i) {
  return (const uint8_t *)header + header->pixel_offset +
         i * header->c * header->h * header->w;
}

static inline uint8_t label_of(const struct pbt_data_header *header, int64_t i) {
  return ((const uint8_t *)header + header->label_offset)[i];
}

#endif
