/*
 * IDX files (LeCun's MNIST format), gzip or plain: four bytes 00 00 08 NDIM, NDIM
 * big-endian 32-bit sizes, then bytes.  zlib's gzFile reads both alike.
 *
 * A data set that is read wrongly trains to a wrong answer without a complaint, so
 * everything a file says is held against everything else: kind, counts, image sizes, the
 * length, and gzip's checksum.  Therefore each file is read to its end, also when only
 * its first samples are wanted.
 */
#include "data/source.h"

#include "base/file.h"   // pbt_path_join, pbt_file_exists
#include "base/memory.h" // scratch

#include <errno.h>
#include <string.h>
#include <zlib.h>

enum { MAX_SIDE = 4096, CHUNK = 1 << 18 };

enum content { LABELS, IMAGES };

static const struct {
  int32_t ndim;
  const char *word;
} content_facts[] = {[LABELS] = {1, "labels"}, [IMAGES] = {3, "images"}};

struct idx_file {
  gzFile file;
  char path[PBT_PATH_BYTES];
  int64_t n;
  int32_t h, w;      // IMAGES
  size_t item_bytes; // of one sample
};

static const char *file_name(const struct pbt_data_source *source, enum pbt_set set,
                             enum content content) {
  const char *const name[PBT_SETS][2] = {
      {[LABELS] = source->train_labels, [IMAGES] = source->train_images},
      {[LABELS] = source->test_labels, [IMAGES] = source->test_images}};
  return name[set][content];
}

/* `name` as given, else with ".gz". */
static pbt_status find_file(const char *folder, const char *name, enum content content,
                            char path[PBT_PATH_BYTES]) {
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
  return pbt_fail(PBT_ERR_MISSING,
                  "%s: no such file of %s, nor with \".gz\"; set data.folder to where "
                  "the four IDX files are, or data.kind = \"digits\" to draw digits "
                  "instead",
                  path, content_facts[content].word);
}

/* Why a read gave less than it was asked for. */
static pbt_status read_failed(const struct idx_file *idx) {
  int code = Z_OK;
  const char *words = gzerror(idx->file, &code);
  switch (code) {
  case Z_ERRNO:
    return pbt_fail_errno(PBT_ERR_IO, "cannot read %s", idx->path);
  case Z_DATA_ERROR: // words are "PATH: incorrect data check"
    return pbt_fail(PBT_ERR_DATA, "%s; the gzip file is damaged: fetch or copy it again",
                    words);
  case Z_MEM_ERROR:
    return pbt_fail(PBT_ERR_UNAVAILABLE, "no memory to read %s", idx->path);
  default: // Z_BUF_ERROR: a cut gzip stream; Z_OK: a cut plain file
    return pbt_fail(PBT_ERR_DATA, "%s: truncated; fetch or copy the file again",
                    idx->path);
  }
}

static pbt_status read_bytes(struct idx_file *idx, void *to, size_t bytes) {
  uint8_t *at = to;
  while (bytes > 0) {
    unsigned part = bytes < CHUNK ? (unsigned)bytes : CHUNK;
    int got = gzread(idx->file, at, part);
    if (got <= 0) {
      return read_failed(idx);
    }
    at += got;
    bytes -= (size_t)got;
  }
  return PBT_OK;
}

static uint32_t big_endian(const uint8_t byte[4]) {
  return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 |
         byte[3];
}

static pbt_status check_magic(const struct idx_file *idx, const uint8_t magic[4],
                              enum content content) {
  if (big_endian(magic) == (uint32_t)(0x0800 | content_facts[content].ndim)) {
    return PBT_OK;
  }
  enum content other = content == LABELS ? IMAGES : LABELS;
  if (big_endian(magic) == (uint32_t)(0x0800 | content_facts[other].ndim)) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s: holds %s where %s are expected; are the names of the two files "
                    "swapped in [data]?",
                    idx->path, content_facts[other].word, content_facts[content].word);
  }
  return pbt_fail(PBT_ERR_DATA,
                  "%s: not an IDX file of %s: it begins with %02x %02x %02x %02x, not "
                  "with 00 00 08 %02x",
                  idx->path, content_facts[content].word, magic[0], magic[1], magic[2],
                  magic[3], (unsigned)content_facts[content].ndim);
}

static pbt_status read_header(struct idx_file *idx, enum content content) {
  uint8_t magic[4];
  PBT_TRY(read_bytes(idx, magic, sizeof magic));
  PBT_TRY(check_magic(idx, magic, content));
  uint32_t dim[3] = {0, 1, 1};
  for (int i = 0; i < content_facts[content].ndim; i++) {
    uint8_t word[4];
    PBT_TRY(read_bytes(idx, word, sizeof word));
    dim[i] = big_endian(word);
  }
  if (dim[0] == 0 || dim[0] > INT32_MAX) {
    return pbt_fail(PBT_ERR_DATA, "%s: its header counts %u %s", idx->path, dim[0],
                    content_facts[content].word);
  }
  if (dim[1] == 0 || dim[2] == 0 || dim[1] > MAX_SIDE || dim[2] > MAX_SIDE) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s: its header says images of %u x %u pixels; sides may be 1 to %d",
                    idx->path, dim[1], dim[2], MAX_SIDE);
  }
  idx->n = dim[0];
  idx->h = (int32_t)dim[1];
  idx->w = (int32_t)dim[2];
  idx->item_bytes = (size_t)dim[1] * dim[2];
  return PBT_OK;
}

static void close_idx(struct idx_file *idx) {
  if (idx->file != NULL) {
    gzclose(idx->file);
    idx->file = NULL;
  }
}

/* Opens and reads the header; close_idx either way. */
static pbt_status open_idx(const struct pbt_data_source *source, enum pbt_set set,
                           enum content content, struct idx_file *idx) {
  *idx = (struct idx_file){0};
  PBT_TRY(find_file(source->folder, file_name(source, set, content), content, idx->path));
  if (pbt_file_is_folder(idx->path)) {
    return pbt_fail(PBT_ERR_DATA, "%s: is a folder, not an IDX file", idx->path);
  }
  errno = 0;
  idx->file = gzopen(idx->path, "rb");
  if (idx->file == NULL) {
    return pbt_fail_errno(PBT_ERR_IO, "cannot open %s", idx->path);
  }
  gzbuffer(idx->file, CHUNK);
  return read_header(idx, content);
}

/* Reads what is left after `done` samples, and finds the end where the header puts it. */
static pbt_status read_to_end(struct idx_file *idx, int64_t done) {
  uint8_t *scratch = NULL;
  PBT_TRY(PBT_NEW(CHUNK, &scratch));
  pbt_status status = PBT_OK;
  for (size_t left = (size_t)(idx->n - done) * idx->item_bytes; left > 0;) {
    size_t part = left < CHUNK ? left : CHUNK;
    PBT_TRY_TO(done, status, read_bytes(idx, scratch, part));
    left -= part;
  }
  int got = gzread(idx->file, scratch, 1);
  int code = Z_OK;
  gzerror(idx->file, &code);
  if (got > 0) {
    status = pbt_fail(PBT_ERR_DATA,
                      "%s: goes on after the %lld samples that its header counts",
                      idx->path, (long long)idx->n);
  } else if (got < 0 || code == Z_BUF_ERROR) {
    status = read_failed(idx);
  }
done:
  pbt_mem_free(scratch);
  return status;
}

static pbt_status measure_pair(const struct pbt_data_source *source, enum pbt_set set,
                               struct idx_file *images) {
  struct idx_file labels = {0};
  pbt_status status = open_idx(source, set, IMAGES, images);
  if (status == PBT_OK) {
    status = open_idx(source, set, LABELS, &labels);
  }
  if (status == PBT_OK && labels.n != images->n) {
    status =
        pbt_fail(PBT_ERR_DATA, "%s holds %lld images but %s holds %lld labels",
                 images->path, (long long)images->n, labels.path, (long long)labels.n);
  }
  close_idx(images);
  close_idx(&labels);
  return status;
}

static pbt_status measure_idx(const struct pbt_data_source *source,
                              struct pbt_data_size *size) {
  struct idx_file train, test;
  PBT_TRY(measure_pair(source, PBT_SET_TRAIN, &train));
  PBT_TRY(measure_pair(source, PBT_SET_TEST, &test));
  if (train.h != test.h || train.w != test.w) {
    return pbt_fail(PBT_ERR_DATA, "%s holds images of %d x %d pixels but %s of %d x %d",
                    train.path, train.h, train.w, test.path, test.h, test.w);
  }
  const int64_t limit[PBT_SETS] = {source->train_size, source->test_size};
  const int64_t n[PBT_SETS] = {train.n, test.n};
  *size = (struct pbt_data_size){.c = 1, .h = train.h, .w = train.w};
  for (int i = 0; i < PBT_SETS; i++) {
    size->n[i] = limit[i] > 0 && limit[i] < n[i] ? limit[i] : n[i];
  }
  return PBT_OK;
}

static pbt_status check_labels(const struct idx_file *idx, const uint8_t *label,
                               int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    if (label[i] >= PBT_DATA_MAX_CLASSES) {
      return pbt_fail(PBT_ERR_DATA, "%s: label %lld is %d; labels may be 0 to %d",
                      idx->path, (long long)i, label[i], PBT_DATA_MAX_CLASSES - 1);
    }
  }
  return PBT_OK;
}

static pbt_status file_changed(const struct idx_file *idx) {
  return pbt_fail(PBT_ERR_DATA, "%s: changed while it was being read", idx->path);
}

static pbt_status labels_idx(const struct pbt_data_source *source, enum pbt_set set,
                             int64_t n, uint8_t *label) {
  struct idx_file idx;
  pbt_status status;
  PBT_TRY_TO(done, status, open_idx(source, set, LABELS, &idx));
  if (idx.n < n) {
    status = file_changed(&idx);
    goto done;
  }
  PBT_TRY_TO(done, status, read_bytes(&idx, label, (size_t)n));
  PBT_TRY_TO(done, status, read_to_end(&idx, n));
  status = check_labels(&idx, label, n);
done:
  close_idx(&idx);
  return status;
}

static pbt_status images_idx(const struct pbt_data_source *source, enum pbt_set set,
                             int64_t n, const int64_t slot[], uint8_t *pixel) {
  struct idx_file idx;
  pbt_status status;
  PBT_TRY_TO(done, status, open_idx(source, set, IMAGES, &idx));
  if (idx.n < n) {
    status = file_changed(&idx);
    goto done;
  }
  for (int64_t i = 0; i < n; i++) {
    uint8_t *to = pixel + (size_t)slot[i] * idx.item_bytes;
    PBT_TRY_TO(done, status, read_bytes(&idx, to, idx.item_bytes));
  }
  status = read_to_end(&idx, n);
done:
  close_idx(&idx);
  return status;
}

const struct pbt_source_ops pbt_source_idx = {
    .measure = measure_idx, .labels = labels_idx, .images = images_idx};
