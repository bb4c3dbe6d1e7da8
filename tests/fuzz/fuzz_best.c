/*
 * A model file (best.h5, a member's checkpoint).  As it is; and, with the first byte odd,
 * sealed with a right digest, as somebody with bad intent would, so that HDF5 sees it.
 */
#include <inttypes.h>

#include "base/digest.h"
#include "base/text.h"
#include "fuzz.h"
#include "record/tensor_file.h"

static void read_all(struct pbt_tensor_file *file) {
  static struct pbt_tensor tensor[] = {
      {"conv1/weight", PBT_ROLE_WEIGHT, PBT_F32, 4, {6, 1, 5, 5}, 0},
      {"conv1/bias", PBT_ROLE_WEIGHT, PBT_F32, 1, {6}, 0},
      {"fc1/weight", PBT_ROLE_WEIGHT, PBT_F32, 2, {8, 784}, 0},
      {"step", PBT_ROLE_LOCAL, PBT_I64, 0, {0}, 0},
  };
  struct pbt_state state;
  fuzz_check(pbt_state_layout(tensor, sizeof tensor / sizeof *tensor, &state) == PBT_OK);
  void *image;
  fuzz_check(pbt_mem_alloc(state.bytes, &image) == PBT_OK);
  for (unsigned role = 1; role < 16; role *= 2) {
    pbt_tensor_file_read(file, &state, role, image);
    pbt_error_clear();
  }
  pbt_mem_free(image);
  static const char *const name[] = {"network", "job", "fitness", "generation", "member"};
  for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
    char *text = NULL;
    int64_t integer;
    double real;
    pbt_tensor_file_text(file, name[i], &text);
    pbt_mem_free(text);
    pbt_tensor_file_integer(file, name[i], &integer);
    pbt_tensor_file_real(file, name[i], &real);
    pbt_error_clear();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) {
    return 0;
  }
  fuzz_keep_memory_of_hdf5();
  struct pbt_text text = {0};
  pbt_text_add_bytes(&text, data + 1, size - 1);
  if (data[0] & 1) {
    pbt_text_add(&text, "\npbt_mpi xxh3 %016" PRIx64 "\n",
                 pbt_digest(data + 1, size - 1));
  }
  struct pbt_tensor_file *file = NULL;
  const char *bytes = text.data == NULL ? "" : text.data;
  if (pbt_tensor_file_open("fuzz.h5", bytes, text.length, &file) == PBT_OK) {
    read_all(file);
  }
  pbt_tensor_file_close(file);
  pbt_text_free(&text);
  fuzz_clean();
  return 0;
}
