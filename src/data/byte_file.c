#include "data/byte_file.h"

#include "base/memory.h" // scratch

#include <errno.h>
#include <string.h>

enum { CHUNK = 1 << 18 };

static pbt_status find_file(const char *folder, const char *name, const char *kind,
                            const char *advice, char path[PBT_PATH_BYTES]) {
  PBT_TRY(pbt_path_join(path, folder, name));
  if (pbt_file_exists(path)) {
    return PBT_OK;
  }
  size_t length = strlen(path);
  if (length + sizeof ".gz" <= PBT_PATH_BYTES) {
    memcpy(path + length, ".gz", sizeof ".gz");
    if (pbt_file_exists(path)) {
      return PBT_OK;
    }
    path[length] = '\0';
  }
  return pbt_fail(PBT_ERR_MISSING, "%s: no such %s, nor with \".gz\"; %s", path, kind,
                  advice);
}

pbt_status pbt_byte_file_open(const char *folder, const char *name, const char *kind,
                              const char *advice, struct pbt_byte_file *file) {
  *file = (struct pbt_byte_file){0};
  PBT_TRY(find_file(folder, name, kind, advice, file->path));
  if (pbt_file_is_folder(file->path)) {
    return pbt_fail(PBT_ERR_DATA, "%s: is a folder, not a file", file->path);
  }
  errno = 0;
  file->file = gzopen(file->path, "rb");
  if (file->file == NULL) {
    return pbt_fail_errno(PBT_ERR_IO, "cannot open %s", file->path);
  }
  gzbuffer(file->file, CHUNK);
  return PBT_OK;
}

void pbt_byte_file_close(struct pbt_byte_file *file) {
  if (file->file != NULL) {
    gzclose(file->file);
    file->file = NULL;
  }
}

/* Why a read gave less than it was asked for. */
static pbt_status read_failed(const struct pbt_byte_file *file) {
  int code = Z_OK;
  const char *words = gzerror(file->file, &code);
  switch (code) {
  case Z_ERRNO:
    return pbt_fail_errno(PBT_ERR_IO, "cannot read %s", file->path);
  case Z_DATA_ERROR: // words are "PATH: incorrect data check"
    return pbt_fail(PBT_ERR_DATA, "%s; the gzip file is damaged: fetch or copy it again",
                    words);
  case Z_MEM_ERROR:
    return pbt_fail(PBT_ERR_UNAVAILABLE, "no memory to read %s", file->path);
  default: // Z_BUF_ERROR: a cut gzip stream; Z_OK: a cut plain file
    return pbt_fail(PBT_ERR_DATA, "%s: truncated; fetch or copy the file again",
                    file->path);
  }
}

pbt_status pbt_byte_file_read(struct pbt_byte_file *file, void *to, size_t bytes) {
  uint8_t *at = to;
  while (bytes > 0) {
    unsigned part = bytes < CHUNK ? (unsigned)bytes : CHUNK;
    int got = gzread(file->file, at, part);
    if (got <= 0) {
      return read_failed(file);
    }
    at += got;
    bytes -= (size_t)got;
  }
  return PBT_OK;
}

pbt_status pbt_byte_file_finish(struct pbt_byte_file *file, uint64_t bytes,
                                const char *what) {
  uint8_t *scratch = NULL;
  PBT_TRY(PBT_NEW(CHUNK, &scratch));
  pbt_status status = PBT_OK;
  while (bytes > 0) {
    size_t part = bytes < CHUNK ? (size_t)bytes : CHUNK;
    PBT_TRY_TO(done, status, pbt_byte_file_read(file, scratch, part));
    bytes -= part;
  }
  int got = gzread(file->file, scratch, 1);
  int code = Z_OK;
  gzerror(file->file, &code);
  if (got > 0) {
    status = pbt_fail(PBT_ERR_DATA, "%s: goes on after %s", file->path, what);
  } else if (got < 0 || code == Z_BUF_ERROR) {
    status = read_failed(file);
  }
done:
  pbt_mem_free(scratch);
  return status;
}
