/*
 * From a source to a block: header, pixels, labels, each at a multiple of 64 bytes, with
 * offsets instead of pointers, so that the block may lie at another address in every
 * process that maps it.
 */
#include "data/data.h"

#include "base/memory.h" // scratch
#include "data/source.h" // struct pbt_source_ops
#include "data/split.h"  // pbt_split

#include <math.h> // sqrt: exact by IEEE 754
#include <string.h>

enum { ALIGNMENT = 64 };

static const struct pbt_source_ops *const source_ops[] = {
    [PBT_SOURCE_DIGITS] = &pbt_source_digits,
    [PBT_SOURCE_IDX] = &pbt_source_idx,
    [PBT_SOURCE_CIFAR10] = &pbt_source_cifar10,
    [PBT_SOURCE_HDF5] = &pbt_source_hdf5};

static uint64_t aligned(uint64_t bytes) {
  return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

pbt_status pbt_data_measure(const struct pbt_data_source *source,
                            struct pbt_data_header *header) {
  if (!(source->validation > 0.0 && source->validation < 1.0)) {
    return pbt_fail(PBT_ERR_DATA, "data.validation is %g; it must lie between 0 and 1",
                    source->validation);
  }
  struct pbt_data_size size = {0};
  PBT_TRY(source_ops[source->kind]->measure(source, &size));
  int64_t n = size.n[PBT_SET_TRAIN] + size.n[PBT_SET_TEST];
  uint64_t image_bytes = (uint64_t)size.c * (uint64_t)size.h * (uint64_t)size.w;
  *header = (struct pbt_data_header){
      .magic = PBT_DATA_MAGIC,
      .n_validation = pbt_split_count(source->validation, size.n[PBT_SET_TRAIN]),
      .n_test = size.n[PBT_SET_TEST],
      .c = size.c,
      .h = size.h,
      .w = size.w,
      .n_class = size.n_class};
  header->n_train = size.n[PBT_SET_TRAIN] - header->n_validation;
  header->pixel_offset = aligned(sizeof *header);
  header->label_offset = header->pixel_offset + aligned((uint64_t)n * image_bytes);
  header->bytes = header->label_offset + aligned((uint64_t)n);
  return PBT_OK;
}

pbt_status pbt_data_probe(const struct pbt_data_source *source, size_t *bytes) {
  struct pbt_data_header header = {0};
  PBT_TRY(pbt_data_measure(source, &header));
  *bytes = header.bytes;
  return PBT_OK;
}

void pbt_data_range(const struct pbt_data_header *header, enum pbt_split split,
                    int64_t *begin, int64_t *count) {
  const int64_t n[] = {header->n_train, header->n_validation, header->n_test};
  *begin = 0;
  for (int i = 0; i < (int)split; i++) {
    *begin += n[i];
  }
  *count = n[split];
}

/* Classes as the training labels name them, and no other in the test set. */
static pbt_status count_classes(struct pbt_data_header *header,
                                const uint8_t *train_label, int64_t n_train,
                                const uint8_t *test_label) {
  int32_t highest = 0;
  for (int64_t i = 0; i < n_train; i++) {
    highest = train_label[i] > highest ? train_label[i] : highest;
  }
  if (header->n_class == 0) {
    header->n_class = highest + 1;
  }
  if (header->n_class < 2) {
    return pbt_fail(PBT_ERR_DATA, "all training labels are 0: nothing to tell apart");
  }
  for (int64_t i = 0; i < header->n_test; i++) {
    if (test_label[i] >= header->n_class) {
      return pbt_fail(PBT_ERR_DATA,
                      "test label %lld is %d, but the training labels go up to %d only",
                      (long long)i, test_label[i], header->n_class - 1);
    }
  }
  return PBT_OK;
}

/* Integer sums, so that no order of summation shows. */
static void measure_pixels(struct pbt_data_header *header, const uint8_t *pixel) {
  int64_t plane = (int64_t)header->h * header->w;
  double n = (double)(header->n_train * plane);
  for (int32_t c = 0; c < header->c; c++) {
    uint64_t sum = 0, square = 0;
    for (int64_t i = 0; i < header->n_train; i++) {
      const uint8_t *p = pixel + (i * header->c + c) * plane;
      for (int64_t k = 0; k < plane; k++) {
        sum += p[k];
        square += (uint64_t)p[k] * p[k];
      }
    }
    double mean = (double)sum / n;
    double variance = (double)square / n - mean * mean;
    header->mean[c] = (float)(mean / 255.0);
    header->deviation[c] = (float)(sqrt(variance > 0.0 ? variance : 0.0) / 255.0);
    if (!(header->deviation[c] > 0.0f)) {
      header->deviation[c] = 1.0f; // a flat channel stays flat
    }
  }
}

/* Labels first: they decide where each training image goes.  `label` and `slot` hold all
 * samples in the order of the source, training set first. */
static pbt_status load_into(const struct pbt_data_source *source,
                            struct pbt_data_header *header, uint8_t *label,
                            int64_t *slot) {
  const struct pbt_source_ops *ops = source_ops[source->kind];
  uint8_t *block = (uint8_t *)header;
  uint8_t *pixel = block + header->pixel_offset;
  int64_t n_train = header->n_train + header->n_validation;
  int64_t n = n_train + header->n_test;
  PBT_TRY(ops->labels(source, PBT_SET_TRAIN, n_train, label));
  PBT_TRY(ops->labels(source, PBT_SET_TEST, header->n_test, label + n_train));
  PBT_TRY(count_classes(header, label, n_train, label + n_train));
  pbt_status status =
      pbt_split(label, n_train, header->n_class, source->validation, source->seed, slot);
  if (status != PBT_OK) {
    return pbt_context(status, "data.validation");
  }
  for (int64_t i = n_train; i < n; i++) {
    slot[i] = i;
  }
  for (int64_t i = 0; i < n; i++) {
    block[header->label_offset + (uint64_t)slot[i]] = label[i];
  }
  PBT_TRY(ops->images(source, PBT_SET_TRAIN, n_train, slot, pixel));
  PBT_TRY(ops->images(source, PBT_SET_TEST, header->n_test, slot + n_train, pixel));
  measure_pixels(header, pixel);
  header->magic = PBT_DATA_MAGIC;
  return PBT_OK;
}

pbt_status pbt_data_load(const struct pbt_data_source *source, void *block,
                         size_t bytes) {
  struct pbt_data_header header = {0};
  PBT_TRY(pbt_data_measure(source, &header));
  if (header.bytes != bytes) {
    return pbt_fail(PBT_ERR_DATA,
                    "the data files have changed since they were measured: %llu bytes, "
                    "now %llu",
                    (unsigned long long)bytes, (unsigned long long)header.bytes);
  }
  header.magic = 0; // until all is there
  memcpy(block, &header, sizeof header);
  int64_t n = header.n_train + header.n_validation + header.n_test;
  uint8_t *label = NULL;
  int64_t *slot = NULL;
  pbt_status status;
  PBT_TRY_TO(done, status, PBT_NEW(n, &label));
  PBT_TRY_TO(done, status, PBT_NEW(n, &slot));
  status = load_into(source, block, label, slot);
done:
  pbt_mem_free(slot);
  pbt_mem_free(label);
  return status;
}
