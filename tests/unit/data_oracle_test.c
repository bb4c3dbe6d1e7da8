/* What the readers load is what NumPy and h5py read from the same files: data_oracle.py
 * makes them and compares. */
#include "tests/unit/data_support.h"

static void run_oracle(const char *what, const char *folder) {
  char here[256], command[512];
  snprintf(here, sizeof here, "%s", __FILE__);
  *strrchr(here, '/') = '\0';
  snprintf(command, sizeof command, "/usr/bin/python3 -B %s/data_oracle.py %s %s", here,
           what, folder);
  ck_assert_int_eq(system(command), 0);
}

START_TEST(numpy_reads_the_same) {
  if (!have_h5py()) {
    return;
  }
  struct files files = {.folder = "oracle_XXXXXX"};
  ck_assert_ptr_nonnull(mkdtemp(files.folder));
  run_oracle("cifar10", files.folder);
  run_oracle("hdf5", files.folder);
  const struct {
    const char *name;
    enum pbt_source_kind kind;
    double test;
  } set[] = {{"cifar10", PBT_SOURCE_CIFAR10, 0},
             {"groups", PBT_SOURCE_HDF5, 0},
             {"single-f2", PBT_SOURCE_HDF5, 0.25},
             {"single-f4", PBT_SOURCE_HDF5, 0.25},
             {"single-f8", PBT_SOURCE_HDF5, 0.25}};
  for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
    char file[128], name[64];
    snprintf(name, sizeof name, "%s.h5", set[i].name);
    snprintf(file, sizeof file, "%s", path_in(&files, name));
    files.source = (struct pbt_data_source){.kind = set[i].kind,
                                            .file = file,
                                            .test = set[i].test,
                                            .validation = 0.1,
                                            .seed = 3};
    struct pbt_data_header *header;
    ck_ok(load(&files, &header));
    snprintf(name, sizeof name, "%s.block", set[i].name);
    put_file(&files, name, header, header->bytes);
    pbt_mem_free(header);
  }
  run_oracle("check", files.folder);
  end(&files, NULL);
}
END_TEST

START_TEST(the_test_images_do_not_follow_the_seed_nor_the_limits) {
  if (!have_h5py()) {
    return;
  }
  struct files files = {.folder = "oracle_XXXXXX"};
  ck_assert_ptr_nonnull(mkdtemp(files.folder));
  run_oracle("hdf5", files.folder);
  char file[128];
  snprintf(file, sizeof file, "%s", path_in(&files, "single-f4.h5"));
  struct pbt_data_header *header[2];
  for (int i = 0; i < 2; i++) {
    files.source = (struct pbt_data_source){.kind = PBT_SOURCE_HDF5,
                                            .file = file,
                                            .test = 0.25,
                                            .validation = 0.1,
                                            .seed = (uint64_t)i,
                                            .train_size = i == 0 ? 0 : 150};
    ck_ok(load(&files, &header[i]));
  }
  ck_assert_int_eq(header[0]->n_train + header[0]->n_validation, 300);
  ck_assert_int_eq(header[1]->n_train + header[1]->n_validation, 150);
  ck_assert_int_eq(header[1]->n_test, 100);
  ck_assert_mem_eq(image_of(header[0], 300), image_of(header[1], 150), 100 * 60);
  pbt_mem_free(header[0]);
  end(&files, header[1]);
}
END_TEST

PBT_TEST_MAIN("data_oracle", numpy_reads_the_same,
              the_test_images_do_not_follow_the_seed_nor_the_limits)
