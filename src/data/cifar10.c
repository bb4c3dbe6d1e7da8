/*
 * CIFAR-10's binary files (Krizhevsky 2009), plain or gzip: data_batch_1.bin to
 * data_batch_5.bin and test_batch.bin, 10,000 records each of one label byte and the red,
 * green and blue planes of 32 x 32 bytes.  The files carry no header, so the count of
 * records is what tells a whole file from a cut one.
 */
#include "data/byte_file.h"
#include "data/source.h"

#include <stdio.h>

enum { CHANNELS = 3, SIDE = 32, PIXELS = CHANNELS * SIDE * SIDE, CLASSES = 10 };
enum { RECORDS = 10000, TRAIN_FILES = 5 };

static const int file_count[PBT_SETS] = {TRAIN_FILES, 1};

static pbt_status open_batch(const struct pbt_data_source *source, enum pbt_set set,
                             int i, struct pbt_byte_file *file) {
  char name[32] = "test_batch.bin";
  if (set == PBT_SET_TRAIN) {
    snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
  }
  return pbt_byte_file_open(source->folder, name, "file of CIFAR-10's binary version",
                            "set data.folder to where data_batch_1.bin to "
                            "data_batch_5.bin and test_batch.bin are",
                            file);
}

static pbt_status measure_cifar10(const struct pbt_data_source *source,
                                  struct pbt_data_size *size) {
  *size = (struct pbt_data_size){.c = CHANNELS, .h = SIDE, .w = SIDE, .n_class = CLASSES};
  const int64_t limit[PBT_SETS] = {source->train_size, source->test_size};
  for (enum pbt_set set = 0; set < PBT_SETS; set++) {
    int64_t n = (int64_t)file_count[set] * RECORDS;
    size->n[set] = limit[set] > 0 && limit[set] < n ? limit[set] : n;
    for (int i = 0; i < file_count[set]; i++) {
      struct pbt_byte_file file;
      pbt_status status = open_batch(source, set, i, &file);
      pbt_byte_file_close(&file);
      PBT_TRY(status);
    }
  }
  return PBT_OK;
}

static pbt_status read_record(struct pbt_byte_file *file, int64_t i, uint8_t *label,
                              uint8_t pixel[PIXELS]) {
  PBT_TRY(pbt_byte_file_read(file, label, 1));
  if (*label >= CLASSES) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s: label %lld is %d; CIFAR-10 has labels 0 to %d: is this its "
                    "binary version?",
                    file->path, (long long)i, *label, CLASSES - 1);
  }
  return pbt_byte_file_read(file, pixel, PIXELS);
}

/* The first n samples of a set; `label` or `pixel` may be NULL.  All files are read. */
static pbt_status read_set(const struct pbt_data_source *source, enum pbt_set set,
                           int64_t n, uint8_t *label, const int64_t slot[],
                           uint8_t *pixel) {
  uint8_t unwanted_label, unwanted[PIXELS];
  int64_t sample = 0;
  for (int i = 0; i < file_count[set]; i++) {
    struct pbt_byte_file file;
    pbt_status status;
    PBT_TRY_TO(done, status, open_batch(source, set, i, &file));
    int64_t record = 0;
    for (; record < RECORDS && sample < n; record++, sample++) {
      uint8_t *to = pixel == NULL ? unwanted : pixel + slot[sample] * PIXELS;
      PBT_TRY_TO(done, status,
                 read_record(&file, record,
                             label == NULL ? &unwanted_label : &label[sample], to));
    }
    status = pbt_byte_file_finish(&file, (uint64_t)(RECORDS - record) * (1 + PIXELS),
                                  "the 10000 records of a CIFAR-10 file");
  done:
    pbt_byte_file_close(&file);
    PBT_TRY(status);
  }
  return PBT_OK;
}

static pbt_status labels_cifar10(const struct pbt_data_source *source, enum pbt_set set,
                                 int64_t n, uint8_t *label) {
  return read_set(source, set, n, label, NULL, NULL);
}

static pbt_status images_cifar10(const struct pbt_data_source *source, enum pbt_set set,
                                 int64_t n, const int64_t slot[], uint8_t *pixel) {
  return read_set(source, set, n, NULL, slot, pixel);
}

const struct pbt_source_ops pbt_source_cifar10 = {
    .measure = measure_cifar10, .labels = labels_cifar10, .images = images_cifar10};
