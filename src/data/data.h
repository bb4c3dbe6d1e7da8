/*
 * data.h - data sets: measure, load, split.
 *
 * A loaded data set is one block of memory without pointers, so that the ranks of a node
 * share it: probe says how many bytes, the caller brings the memory, one rank fills it,
 * all borrow views of it.  Pixels stay uint8.  Everything is local.
 */
#ifndef PBT_DATA_DATA_H
#define PBT_DATA_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum pbt_source_kind {
  PBT_SOURCE_DIGITS,
  PBT_SOURCE_IDX,
  PBT_SOURCE_CIFAR10,
  PBT_SOURCE_HDF5
};

/* What to load; paths borrowed for the call. */
struct pbt_data_source {
  enum pbt_source_kind kind;
  const char *folder; // idx, cifar10
  const char *file;   // hdf5
  double test;        // hdf5 without a test set: share of the images held back for it
  const char *train_images, *train_labels; // idx: names in folder
  const char *test_images, *test_labels;
  int64_t train_size,
      test_size;     // digits: how many; files: 0 = all, else the first so many
  double validation; // share of the training images held out
  uint64_t seed;     // of digits and split
};

enum pbt_split { PBT_SPLIT_TRAIN, PBT_SPLIT_VALIDATION, PBT_SPLIT_TEST };

enum { PBT_MAX_CHANNEL = 4, PBT_DATA_MAX_CLASSES = 64 };

enum { PBT_DATA_MAGIC = 0x31415444 }; // "DTA1"

/* At the start of the block.  Samples are stored split by split: train, validation, test.
 */
struct pbt_data_header {
  uint64_t magic;
  uint64_t bytes; // of the whole block
  int64_t n_train, n_validation, n_test;
  int32_t c, h, w, n_class;
  float mean[PBT_MAX_CHANNEL], deviation[PBT_MAX_CHANNEL]; // of the training split, 0..1
  uint64_t pixel_offset, label_offset;                     // uint8 (n,c,h,w), uint8 (n)
};

/* Reads headers only.  PBT_ERR_MISSING with the path tried (and ".gz") and what to do;
 * PBT_ERR_DATA for wrong magic, sizes that disagree, labels and images swapped. */
pbt_status pbt_data_probe(const struct pbt_data_source *source, size_t *bytes);

/* As probe, with what the headers alone tell: sizes, shape, offsets; n_class is 0 where
 * only the labels know it, mean and deviation stay 0. */
pbt_status pbt_data_measure(const struct pbt_data_source *source,
                            struct pbt_data_header *header);

/* Fills `block` (`bytes` from probe): loads or draws, splits the training images into
 * train and validation, class by class, by the seed, and measures mean and deviation.
 * PBT_ERR_DATA for a truncated file, bytes left over, a bad gzip checksum, a label out of
 * range, a class without a sample on either side of the split. */
pbt_status pbt_data_load(const struct pbt_data_source *source, void *block, size_t bytes);

/* Where a split lies: samples begin .. begin + count - 1 of the block's images. */
void pbt_data_range(const struct pbt_data_header *header, enum pbt_split split,
                    int64_t *begin, int64_t *count);

#endif
