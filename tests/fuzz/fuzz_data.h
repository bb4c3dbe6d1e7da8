/* fuzz_data.h - loads a data set and holds the block against its own header. */
#ifndef PBT_TESTS_FUZZ_FUZZ_DATA_H
#define PBT_TESTS_FUZZ_FUZZ_DATA_H

#include "data/data.h"
#include "fuzz.h"

enum { FUZZ_MOST_BYTES = 1 << 24 }; // larger sets are measured, not loaded

static inline void fuzz_load(const struct pbt_data_source *source) {
  pbt_error_clear();
  size_t bytes = 0;
  if (pbt_data_probe(source, &bytes) != PBT_OK || bytes > FUZZ_MOST_BYTES) {
    return;
  }
  void *block;
  fuzz_check(pbt_mem_alloc(bytes, &block) == PBT_OK);
  pbt_status status = pbt_data_load(source, block, bytes);
  fuzz_check(status == PBT_OK || pbt_error()[0] != '\0');
  if (status == PBT_OK) {
    const struct pbt_data_header *header = block;
    int64_t n = header->n_train + header->n_validation + header->n_test;
    const uint8_t *label = (const uint8_t *)block + header->label_offset;
    fuzz_check(header->n_train > 0 && header->n_validation > 0 && header->n_class > 1);
    for (int64_t i = 0; i < n; i++) {
      fuzz_check(label[i] < header->n_class);
    }
    for (int32_t c = 0; c < header->c; c++) {
      fuzz_check(header->mean[c] >= 0 && header->mean[c] <= 1 &&
                 header->deviation[c] > 0);
    }
  }
  pbt_mem_free(block);
}

#endif
