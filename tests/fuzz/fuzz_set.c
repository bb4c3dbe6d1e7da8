/*
 * A checkpoint set: the first byte says whether the manifest or a member's file is
 * replaced by what follows, and whether the manifest is sealed with a right digest, which
 * lets the parser see it.  Whatever is read back must be what was written.
 */
#include <inttypes.h>

#include "base/digest.h"
#include "base/text.h"
#include "fuzz.h"
#include "record/checkpoint_set.h"

static const char member[] = "what member 0 wrote", population[] = "the population";

static void make_set(const char *run) {
  struct pbt_set_file file[2];
  struct pbt_manifest manifest = {
      .set = 3, .generation = 7, .n_member = 1, .n_file = 2, .file = file};
  char folder[PBT_PATH_BYTES];
  fuzz_check(pbt_set_folder(run, 3, true, folder) == PBT_OK);
  fuzz_check(pbt_set_write(folder, "member-00000.h5", member, sizeof member, &file[0]) ==
             PBT_OK);
  fuzz_check(pbt_set_write(folder, "population.h5", population, sizeof population,
                           &file[1]) == PBT_OK);
  fuzz_check(pbt_set_commit(run, &manifest, 2) == PBT_OK);
}

static void put_manifest(const uint8_t *data, size_t size, int seal) {
  struct pbt_text text = {0};
  pbt_text_add_bytes(&text, data, size);
  if (seal) {
    pbt_text_add(&text, "xxh3 %016" PRIx64 "\n", pbt_digest(data, size));
  }
  fuzz_put("run/checkpoints/000003/manifest", text.data == NULL ? "" : text.data,
           text.length);
  pbt_text_free(&text);
}

static void read_back(const char *run, const struct pbt_manifest *manifest) {
  for (size_t i = 0; i < manifest->n_file; i++) {
    char *bytes = NULL;
    size_t n = 0;
    if (pbt_set_read(run, manifest, manifest->file[i].name, &bytes, &n) == PBT_OK) {
      fuzz_check((n == sizeof member && memcmp(bytes, member, n) == 0) ||
                 (n == sizeof population && memcmp(bytes, population, n) == 0));
    }
    pbt_mem_free(bytes);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char manifest_text[4096];
  static size_t manifest_bytes;
  char run[128];
  snprintf(run, sizeof run, "%s", fuzz_path("run"));
  if (manifest_bytes == 0) {
    make_set(run);
    char *text;
    fuzz_check(pbt_file_read(fuzz_path("run/checkpoints/000003/manifest"),
                             sizeof manifest_text, &text, &manifest_bytes) == PBT_OK);
    memcpy(manifest_text, text, manifest_bytes);
    pbt_mem_free(text);
  }
  if (size == 0) {
    return 0;
  }
  int of_member = data[0] & 1;
  if (of_member) {
    fuzz_put("run/checkpoints/000003/manifest", manifest_text, manifest_bytes);
    fuzz_put("run/checkpoints/000003/member-00000.h5", data + 1, size - 1);
  } else {
    fuzz_put("run/checkpoints/000003/member-00000.h5", member, sizeof member);
    put_manifest(data + 1, size - 1, data[0] & 2);
  }
  struct pbt_manifest manifest;
  struct pbt_text skipped = {0};
  bool found = false;
  int64_t next = 0;
  if (pbt_set_find(run, &manifest, &found, &next, &skipped) == PBT_OK && found) {
    read_back(run, &manifest);
    pbt_manifest_free(&manifest);
  }
  pbt_text_free(&skipped);
  if (pbt_set_newest(run, &manifest, &found) == PBT_OK && found) {
    read_back(run, &manifest);
    pbt_manifest_free(&manifest);
  }
  fuzz_clean();
  return 0;
}
