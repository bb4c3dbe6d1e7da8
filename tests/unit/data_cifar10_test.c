/* CIFAR-10's binary files: whole, gzipped, and damaged.  data_oracle_test.c holds the
 * same reader against NumPy. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/data_support.h"

enum { RECORD = 3073, RECORDS = 10000, FILES = 6, BYTES = RECORD * RECORDS };

static const char *const name[FILES] = {"data_batch_1.bin", "data_batch_2.bin",
                                        "data_batch_3.bin", "data_batch_4.bin",
                                        "data_batch_5.bin", "test_batch.bin"};

/* Six good files, 184 MB, made once by main and linked into each test's folder. */
static char master[64] = "cifar10_master_XXXXXX";

static int label_at(int file, int i) {
  return (i * 7 + file) % 10;
}

/* A record is its label, its file and its number; the rest is 0. */
static void fill(int file, uint8_t *data) {
  memset(data, 0, BYTES);
  for (int i = 0; i < RECORDS; i++) {
    uint8_t *record = data + (size_t)i * RECORD;
    record[0] = (uint8_t)label_at(file, i);
    record[1] = (uint8_t)file;
    record[2] = (uint8_t)(i >> 8);
    record[3072] = (uint8_t)i;
  }
}

static struct files make_files(void) {
  struct files files = {
      .folder = "cifar10_XXXXXX",
      .source = {.kind = PBT_SOURCE_CIFAR10, .validation = 0.1, .seed = 1}};
  ck_assert_ptr_nonnull(mkdtemp(files.folder));
  for (int i = 0; i < FILES; i++) {
    char from[128];
    snprintf(from, sizeof from, "%s/%s", master, name[i]);
    ck_assert_int_eq(link(from, path_in(&files, name[i])), 0);
  }
  return files;
}

/* A damaged copy of file i: cut to `bytes`, or with one byte changed. */
static void damage(struct files *files, int i, size_t bytes, size_t at, uint8_t byte) {
  uint8_t *data = malloc(BYTES + 1);
  fill(i, data);
  data[BYTES] = 0;
  data[at] = byte;
  drop_file(files, name[i]);
  put_file(files, name[i], data, bytes);
  free(data);
}

START_TEST(every_sample_arrives_once_with_its_label) {
  struct files files = make_files();
  struct pbt_data_header *header;
  ck_ok(load(&files, &header));
  ck_assert_int_eq(header->n_train, 45000);
  ck_assert_int_eq(header->n_validation, 5000);
  ck_assert_int_eq(header->n_test, 10000);
  ck_assert_int_eq(header->c, 3);
  ck_assert_int_eq(header->h, 32);
  ck_assert_int_eq(header->w, 32);
  ck_assert_int_eq(header->n_class, 10);
  static uint8_t seen[FILES][RECORDS];
  for (int64_t i = 0; i < 60000; i++) {
    const uint8_t *image = image_of(header, i);
    int file = image[0], record = image[1] << 8 | image[3071];
    ck_assert_int_eq(label_of(header, i), label_at(file, record));
    ck_assert_int_eq(file == 5, i >= 50000);
    ck_assert(file < 5 || record == i - 50000); // the test set in its own order
    seen[file][record]++;
  }
  for (int i = 0; i < FILES * RECORDS; i++) {
    ck_assert_int_eq(seen[i / RECORDS][i % RECORDS], 1);
  }
  end(&files, header);
}
END_TEST

START_TEST(gzip_and_plain_give_the_same_block) {
  struct files files = make_files();
  struct pbt_data_header *plain, *zipped;
  ck_ok(load(&files, &plain));
  uint8_t *data = malloc(BYTES);
  for (int i = 1; i < FILES; i += 4) { // some gzipped, some plain
    char gz[64];
    snprintf(gz, sizeof gz, "%s.gz", name[i]);
    fill(i, data);
    drop_file(&files, name[i]);
    put_gzip(&files, gz, data, BYTES);
  }
  free(data);
  ck_ok(load(&files, &zipped));
  ck_assert_mem_eq(plain, zipped, plain->bytes);
  pbt_mem_free(plain);
  end(&files, zipped);
}
END_TEST

START_TEST(a_size_takes_the_first_so_many) {
  struct files files = make_files();
  files.source.train_size = 10100;
  files.source.test_size = 20;
  struct pbt_data_header *header;
  ck_ok(load(&files, &header));
  ck_assert_int_eq(header->n_train + header->n_validation, 10100);
  ck_assert_int_eq(header->n_test, 20);
  int of_second_file = 0;
  for (int64_t i = 0; i < 10100; i++) {
    const uint8_t *image = image_of(header, i);
    ck_assert_int_lt(image[0], 2);
    ck_assert(image[0] == 0 || (image[1] == 0 && image[3071] < 100));
    of_second_file += image[0];
  }
  ck_assert_int_eq(of_second_file, 100);
  end(&files, header);
}
END_TEST

START_TEST(a_missing_file_is_named_with_what_to_do) {
  struct files files = make_files();
  drop_file(&files, name[3]);
  must_fail(&files, PBT_ERR_MISSING,
            "data_batch_4.bin: no such file of CIFAR-10's binary version, nor with "
            "\".gz\"; set data.folder");
}
END_TEST

START_TEST(cut_files_are_found_also_where_only_their_head_is_wanted) {
  const size_t bytes[] = {BYTES - 1, BYTES - RECORD, 100, 0};
  for (int i = 0; i < 4; i++) {
    struct files files = make_files();
    damage(&files, 4, bytes[i], 0, 0);
    files.source.train_size = i % 2 == 0 ? 1000 : 0;
    must_fail(&files, PBT_ERR_DATA, "data_batch_5.bin: truncated");
  }
}
END_TEST

START_TEST(bytes_left_over_are_found) {
  struct files files = make_files();
  damage(&files, 5, BYTES + 1, 1, 5);
  must_fail(&files, PBT_ERR_DATA, "test_batch.bin: goes on after the 10000 records");
}
END_TEST

START_TEST(a_label_out_of_range_is_refused) {
  struct files files = make_files();
  damage(&files, 1, BYTES, 17 * RECORD, 10);
  must_fail(&files, PBT_ERR_DATA, "data_batch_2.bin: label 17 is 10");
}
END_TEST

START_TEST(a_cut_gzip_file_is_truncated) {
  struct files files = make_files();
  uint8_t *data = malloc(BYTES);
  fill(0, data);
  drop_file(&files, name[0]);
  put_gzip(&files, "data_batch_1.bin.gz", data, BYTES);
  free(data);
  struct stat facts;
  const char *path = path_in(&files, "data_batch_1.bin.gz");
  ck_assert_int_eq(stat(path, &facts), 0);
  ck_assert_int_eq(truncate(path, facts.st_size - 1), 0);
  must_fail(&files, PBT_ERR_DATA, "data_batch_1.bin.gz: truncated");
}
END_TEST

START_TEST(a_folder_is_no_file) {
  struct files files = make_files();
  drop_file(&files, name[2]);
  ck_assert_int_eq(mkdir(path_in(&files, name[2]), 0700), 0);
  must_fail(&files, PBT_ERR_DATA, "data_batch_3.bin: is a folder");
}
END_TEST

int main(void) {
  const TTest *const list[] = {every_sample_arrives_once_with_its_label,
                               gzip_and_plain_give_the_same_block,
                               a_size_takes_the_first_so_many,
                               a_missing_file_is_named_with_what_to_do,
                               cut_files_are_found_also_where_only_their_head_is_wanted,
                               bytes_left_over_are_found,
                               a_label_out_of_range_is_refused,
                               a_cut_gzip_file_is_truncated,
                               a_folder_is_no_file};
  uint8_t *data = malloc(BYTES);
  bool made = data != NULL && mkdtemp(master) != NULL;
  for (int i = 0; made && i < FILES; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", master, name[i]);
    fill(i, data);
    FILE *out = fopen(path, "wb");
    made = out != NULL && fwrite(data, 1, BYTES, out) == BYTES;
    made = out != NULL && fclose(out) == 0 && made;
  }
  free(data);
  int code =
      made ? pbt_run_suite("data_cifar10", list, sizeof list / sizeof *list, CK_FORK)
           : EXIT_FAILURE;
  pbt_file_remove(master);
  return code;
}
