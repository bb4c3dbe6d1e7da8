/*
 * schema_test.c - files of schema version 1, made on 2026-11-22 by
 *
 *   PBT_ISA=generic mpirun -np 1 pbt_mpi tests/golden/schema-1/schema-1.toml
 *
 * are read today and give what h5py read from them then.  They are never made again: a
 * later schema adds a folder.  A version that is not known is refused in one line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "record/checkpoint_set.h"
#include "record/lineage.h"
#include "record/tensor_file.h"
#include "tests/test.h"

enum { GENERATIONS = 4, MEMBERS = 3 };
static const char run[] = PBT_SCHEMA_1;
static const char copy[] = "schema_copy";

static const double fitness[GENERATIONS][MEMBERS] = {
    {2.2542341071418512, 2.1180483435247703, 2.3360725971459777},
    {2.292973968063145, 2.019807877507224, 2.01646946168757},
    {1.9898454695417842, 2.0069836094646543, 1.9890622996975884},
    {1.9845235035829996, 1.9773295319623414, 1.9805347943026914}};
static const int32_t parent[GENERATIONS][MEMBERS] = {
    {0, 1, 1}, {2, 1, 2}, {0, 2, 2}, {0, 1, 2}};
static const double lr[GENERATIONS][MEMBERS] = {
    {0.1287647974762406, 0.0023425558695497756, 0.0012110810618617203},
    {0.1287647974762406, 0.0023425558695497756, 0.0029281948369372195},
    {0.0023425558695497756, 0.0023425558695497756, 0.0029281948369372195},
    {0.0023425558695497756, 0.0023425558695497756, 0.0029281948369372195}};
static const double smoothing[MEMBERS] = {2, 0, 1}; // options 0.1, 0, 0.05, at first
static const uint64_t digest[MEMBERS] = {UINT64_C(1532603337712351198),
                                         UINT64_C(11363587488003412648),
                                         UINT64_C(11560096293879847877)}; // last
static const float output_bias[10] = {-0.13498525321483612F, -0.013509256765246391F,
                                      0.11872517317533493F,  0.012187285348773003F,
                                      0.16540542244911194F,  -0.14224015176296234F,
                                      -0.1265135258436203F,  0.12029402703046799F,
                                      -0.12145328521728516F, 0.12208953499794006F};

static void join(char path[PBT_PATH_BYTES], const char *folder, const char *name) {
  ck_ok(pbt_path_join(path, folder, name));
}

START_TEST(the_lineage_gives_what_it_gave) {
  char path[PBT_PATH_BYTES];
  join(path, run, "lineage.h5");
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  ck_ok(pbt_lineage_open(path, &reader, &shape));
  ck_assert_int_eq(shape.n_generation, GENERATIONS);
  ck_assert_int_eq(shape.n_member, MEMBERS);
  ck_assert_int_eq(shape.n_hparam, 2);
  ck_assert_str_eq(shape.hparam[0].name, "lr");
  ck_assert_str_eq(shape.hparam[1].name, "label_smoothing");
  ck_assert_int_eq(shape.hparam[1].kind, PBT_CHOICE);
  ck_assert_str_eq(pbt_lineage_reader_info(reader)->metric, "loss");
  ck_assert(!pbt_lineage_reader_info(reader)->maximize);
  struct pbt_lineage_row row[MEMBERS];
  struct pbt_lineage_commit commit;
  for (int g = 0; g < GENERATIONS; g++) {
    ck_ok(pbt_lineage_read(reader, g, row, &commit));
    for (int m = 0; m < MEMBERS; m++) {
      ck_assert(row[m].fitness == fitness[g][m]);
      ck_assert_int_eq(row[m].parent, parent[g][m]);
      ck_assert_int_eq(row[m].event, parent[g][m] == m ? PBT_KEPT : PBT_COPIED);
      ck_assert(row[m].value[0] == lr[g][m]);
      ck_assert(g > 0 || row[m].value[1] == smoothing[m]);
      ck_assert(g < GENERATIONS - 1 || row[m].digest_before == digest[m]);
      ck_assert_int_eq(row[m].steps, 40 * (g + 1));
    }
  }
  ck_assert_int_eq(commit.best_member, 1);
  ck_assert(commit.best_fitness == fitness[3][1]);
  pbt_lineage_reader_close(reader);
}
END_TEST

/* The bias of the output layer, from a file of tensors. */
static void check_bias(const char *path, const void *bytes, size_t n_bytes) {
  struct pbt_tensor tensor = {.name = "output/bias",
                              .role = PBT_ROLE_WEIGHT,
                              .dtype = PBT_F32,
                              .ndim = 1,
                              .dim = {10}};
  struct pbt_state state;
  struct pbt_tensor_file *file;
  float bias[16];
  ck_ok(pbt_state_layout(&tensor, 1, &state));
  ck_ok(pbt_tensor_file_open(path, bytes, n_bytes, &file));
  ck_ok(pbt_tensor_file_read(file, &state, PBT_ROLE_WEIGHT, bias));
  ck_assert_mem_eq(bias, output_bias, sizeof output_bias);
  pbt_tensor_file_close(file);
}

START_TEST(the_checkpoint_and_the_model_give_what_they_gave) {
  char path[PBT_PATH_BYTES], *bytes;
  size_t n_bytes;
  struct pbt_manifest manifest;
  struct pbt_text skipped = {0};
  bool found = false;
  int64_t next = 0;
  ck_ok(pbt_set_find(run, &manifest, &found, &next, &skipped));
  ck_assert(found && skipped.length == 0);
  ck_assert_int_eq(manifest.set, 4);
  ck_assert_int_eq(manifest.generation, GENERATIONS);
  ck_assert_int_eq(manifest.n_member, MEMBERS);
  ck_assert(manifest.finished);
  ck_ok(pbt_set_read(run, &manifest, "member-00001.h5", &bytes, &n_bytes));
  check_bias("member", bytes, n_bytes);
  pbt_mem_free(bytes);
  pbt_manifest_free(&manifest);
  join(path, run, "best.h5");
  ck_ok(pbt_file_read(path, 1 << 20, &bytes, &n_bytes));
  check_bias(path, bytes, n_bytes);
  pbt_mem_free(bytes);
}
END_TEST

/* ---- a later version ---- */

static void fresh_copy(void) {
  char command[2 * PBT_PATH_BYTES];
  snprintf(command, sizeof command, "rm -rf %s && cp -r '%s' %s", copy, run, copy);
  ck_assert_int_eq(system(command), 0);
}

/* In an HDF5 file of ours, closed properly: version 2, by somebody else's hand. */
static bool set_version_2(const char *name) {
  char command[4 * PBT_PATH_BYTES];
  snprintf(
      command, sizeof command,
      "/usr/bin/python3 -c \"\n"
      "import h5py\n"
      "data = open('%s/%s', 'rb').read()\n"
      "at = data.rfind(b'\\npbt')\n"
      "open('%s/%s', 'wb').write(data if at < 0 or len(data) - at > 64 else data[:at])\n"
      "h5py.File('%s/%s', 'r+', libver='latest').attrs.modify('schema_version', 2)\"",
      copy, name, copy, name, copy, name);
  return system(command) == 0;
}

static void one_line(void) {
  ck_assert(strchr(pbt_error(), '\n') == NULL && pbt_error()[0] != '\0');
}

START_TEST(a_newer_lineage_is_refused) {
  struct pbt_lineage_reader *reader;
  struct pbt_lineage_shape shape;
  fresh_copy();
  if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    return;
  }
  ck_assert(set_version_2("lineage.h5"));
  char path[PBT_PATH_BYTES];
  join(path, copy, "lineage.h5");
  ck_assert_int_eq(pbt_lineage_open(path, &reader, &shape), PBT_ERR_DATA);
  one_line();
  ck_assert_ptr_nonnull(strstr(pbt_error(), "schema version 2, this program reads 1"));
}
END_TEST

START_TEST(a_newer_model_is_refused) {
  struct pbt_tensor_file *file;
  char path[PBT_PATH_BYTES], *bytes;
  size_t n_bytes;
  fresh_copy();
  if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    return;
  }
  ck_assert(set_version_2("best.h5"));
  join(path, copy, "best.h5");
  ck_ok(pbt_file_read(path, 1 << 20, &bytes, &n_bytes));
  ck_assert_int_eq(pbt_tensor_file_open(path, bytes, n_bytes, &file), PBT_ERR_DATA);
  one_line();
  ck_assert_msg(strstr(pbt_error(), "schema version 2, this program reads 1") != NULL,
                "%s", pbt_error());
  pbt_mem_free(bytes);
}
END_TEST

START_TEST(a_newer_checkpoint_is_refused) {
  struct pbt_manifest manifest;
  struct pbt_text skipped = {0};
  char path[PBT_PATH_BYTES], *text, seal[32];
  size_t n;
  bool found = true;
  int64_t next;
  fresh_copy();
  join(path, copy, "checkpoints/000004/manifest");
  ck_ok(pbt_file_read(path, 1 << 20, &text, &n));
  char *version = strstr(text, "checkpoint 1\n");
  ck_assert_ptr_nonnull(version);
  version[11] = '2';
  size_t sealed = n - 22; // "xxh3 0123456789abcdef\n"
  snprintf(seal, sizeof seal, "xxh3 %016llx\n",
           (unsigned long long)pbt_digest(text, sealed));
  memcpy(text + sealed, seal, 22);
  ck_ok(pbt_file_replace(path, text, n));
  ck_ok(pbt_set_find(copy, &manifest, &found, &next, &skipped));
  ck_assert(!found);
  ck_assert_ptr_nonnull(
      strstr(skipped.data, "of a version that this program does not know"));
  pbt_text_free(&skipped);
  pbt_mem_free(text);
}
END_TEST

PBT_TEST_MAIN("schema", the_lineage_gives_what_it_gave,
              the_checkpoint_and_the_model_give_what_they_gave,
              a_newer_lineage_is_refused, a_newer_model_is_refused,
              a_newer_checkpoint_is_refused)
