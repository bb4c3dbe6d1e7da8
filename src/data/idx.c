/*
 * IDX files (LeCun's MNIST format), gzip or plain: four bytes 00 00 08 NDIM, NDIM
 * big-endian 32-bit sizes, then bytes.
 */
#include "data/byte_file.h"
#include "data/source.h"

#include <stdio.h>

enum { MAX_SIDE = 4096 };

enum content { LABELS, IMAGES };

static const struct {
  int32_t ndim;
  const char *word, *kind;
} content_facts[] = {[LABELS] = {1, "labels", "IDX file of labels"},
                     [IMAGES] = {3, "images", "IDX file of images"}};

struct idx_file {
  struct pbt_byte_file bytes;
  const char *path; // of bytes
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
  PBT_TRY(pbt_byte_file_read(&idx->bytes, magic, sizeof magic));
  PBT_TRY(check_magic(idx, magic, content));
  uint32_t dim[3] = {0, 1, 1};
  for (int i = 0; i < content_facts[content].ndim; i++) {
    uint8_t word[4];
    PBT_TRY(pbt_byte_file_read(&idx->bytes, word, sizeof word));
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

/* Opens and reads the header; close it either way. */
static pbt_status open_idx(const struct pbt_data_source *source, enum pbt_set set,
                           enum content content, struct idx_file *idx) {
  *idx = (struct idx_file){0};
  idx->path = idx->bytes.path;
  PBT_TRY(pbt_byte_file_open(source->folder, file_name(source, set, content),
                             content_facts[content].kind,
                             "set data.folder to where the four IDX files are, or "
                             "data.kind = \"digits\" to draw digits instead",
                             &idx->bytes));
  return read_header(idx, content);
}

/* What is left after `done` samples. */
static pbt_status read_to_end(struct idx_file *idx, int64_t done) {
  char what[64];
  snprintf(what, sizeof what, "the %lld samples that its header counts",
           (long long)idx->n);
  return pbt_byte_file_finish(&idx->bytes, (uint64_t)(idx->n - done) * idx->item_bytes,
                              what);
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
  pbt_byte_file_close(&images->bytes);
  pbt_byte_file_close(&labels.bytes);
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
  PBT_TRY_TO(done, status, pbt_byte_file_read(&idx.bytes, label, (size_t)n));
  PBT_TRY_TO(done, status, read_to_end(&idx, n));
  status = check_labels(&idx, label, n);
done:
  pbt_byte_file_close(&idx.bytes);
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
    PBT_TRY_TO(done, status, pbt_byte_file_read(&idx.bytes, to, idx.item_bytes));
  }
  status = read_to_end(&idx, n);
done:
  pbt_byte_file_close(&idx.bytes);
  return status;
}

const struct pbt_source_ops pbt_source_idx = {
    .measure = measure_idx, .labels = labels_idx, .images = images_idx};
