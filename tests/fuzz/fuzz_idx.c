/* The four files of an IDX data set: two bytes of length before each, little end first.
 */
#include "fuzz_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const name[] = {"a", "b", "c", "d"};
  for (int i = 0; i < 4; i++) {
    size_t bytes = size >= 2 ? (size_t)data[0] | (size_t)data[1] << 8 : 0;
    size_t header = size >= 2 ? 2 : size;
    data += header;
    size -= header;
    bytes = bytes < size ? bytes : size;
    fuzz_put(name[i], data, bytes);
    data += bytes;
    size -= bytes;
  }
  fuzz_path(""); // the folder's name
  fuzz_load(&(struct pbt_data_source){.kind = PBT_SOURCE_IDX,
                                      .folder = fuzz_folder,
                                      .train_images = name[0],
                                      .train_labels = name[1],
                                      .test_images = name[2],
                                      .test_labels = name[3],
                                      .validation = 0.25,
                                      .seed = 1});
  fuzz_clean();
  return 0;
}
