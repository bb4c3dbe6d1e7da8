/* An HDF5 data set, with and without a test set of its own. */
#include "fuzz_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_keep_memory_of_hdf5();
  fuzz_put("data.h5", data, size);
  const double test[] = {0, 0.25};
  for (int i = 0; i < 2; i++) {
    fuzz_load(&(struct pbt_data_source){.kind = PBT_SOURCE_HDF5,
                                        .file = fuzz_path("data.h5"),
                                        .test = test[i],
                                        .validation = 0.25,
                                        .seed = 1});
  }
  fuzz_clean();
  return 0;
}
