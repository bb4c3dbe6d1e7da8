/* The first of CIFAR-10's files, plain or gzip; the others are empty. */
#include "fuzz_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int made;
  for (int i = 2; made == 0 && i <= 5; i++) {
    char name[32];
    snprintf(name, sizeof name, "data_batch_%d.bin", i);
    fuzz_put(name, "", 0);
  }
  if (made++ == 0) {
    fuzz_put("test_batch.bin", "", 0);
  }
  fuzz_put("data_batch_1.bin", data, size);
  fuzz_load(&(struct pbt_data_source){
      .kind = PBT_SOURCE_CIFAR10, .folder = fuzz_folder, .validation = 0.25, .seed = 1});
  fuzz_clean();
  return 0;
}
