/*
 * source.h - what data.c asks of each kind of source: measure, labels, images.
 *
 * A source knows two sets, in an order of its own; which sample of the training set is
 * held out for validation, and where a sample lies in the block, is data.c's business.
 * Private to src/data.  Everything is local.
 */
#ifndef PBT_DATA_SOURCE_H
#define PBT_DATA_SOURCE_H

#include "data/data.h" // struct pbt_data_source

enum pbt_set { PBT_SET_TRAIN, PBT_SET_TEST, PBT_SETS };

struct pbt_data_size {
  int64_t n[PBT_SETS]; // samples to take
  int32_t c, h, w;
  int32_t n_class; // 0: as many as the labels name
};

struct pbt_source_ops {
  /* Without reading a sample. */
  pbt_status (*measure)(const struct pbt_data_source *source, struct pbt_data_size *size);
  /* The first n labels of a set; the file, if any, is checked to its end. */
  pbt_status (*labels)(const struct pbt_data_source *source, enum pbt_set set, int64_t n,
                       uint8_t *label);
  /* The first n images of a set, image i to pixel + slot[i] * image_bytes. */
  pbt_status (*images)(const struct pbt_data_source *source, enum pbt_set set, int64_t n,
                       const int64_t slot[], uint8_t *pixel);
};

extern const struct pbt_source_ops pbt_source_digits;
extern const struct pbt_source_ops pbt_source_idx;
extern const struct pbt_source_ops pbt_source_cifar10;
extern const struct pbt_source_ops pbt_source_hdf5;

#endif
