/* IDX files as people have them: whole, gzipped, and broken in every way we know of. */
#include <math.h>
#include <sys/stat.h>

#include "tests/unit/data_support.h"

enum { N_TRAIN = 60, N_TEST = 20, H = 5, W = 4, CLASSES = 3 };

static const char *const name[2][2] = {{"train-images", "train-labels"},
                                       {"test-images", "test-labels"}};

static size_t put_header(uint8_t *to, int ndim, const uint32_t dim[]) {
  const uint8_t magic[] = {0, 0, 8, (uint8_t)ndim};
  memcpy(to, magic, 4);
  for (int i = 0; i < ndim; i++) {
    for (int k = 0; k < 4; k++) {
      to[4 + 4 * i + k] = (uint8_t)(dim[i] >> (24 - 8 * k));
    }
  }
  return 4 + 4 * (size_t)ndim;
}

static uint8_t pixel_of(int set, int i, int k) {
  return (uint8_t)(set * 100 + i * 3 + k);
}

/* The bytes of one good file. */
static size_t make_file(int set, int labels, uint8_t *to) {
  uint32_t n = set == 0 ? N_TRAIN : N_TEST;
  size_t used = put_header(to, labels ? 1 : 3, (uint32_t[]){n, H, W});
  for (int i = 0; i < (int)n; i++) {
    if (labels) {
      to[used++] = (uint8_t)(i % CLASSES);
    }
    for (int k = 0; !labels && k < H * W; k++) {
      to[used++] = pixel_of(set, i, k);
    }
  }
  return used;
}

static struct files make_files(void) {
  struct files files = {.folder = "idx_XXXXXX"};
  ck_assert_ptr_nonnull(mkdtemp(files.folder));
  uint8_t data[4096];
  for (int set = 0; set < 2; set++) {
    for (int labels = 0; labels < 2; labels++) {
      size_t bytes = make_file(set, labels, data);
      put_file(&files, name[set][labels], data, bytes);
    }
  }
  files.source = (struct pbt_data_source){.kind = PBT_SOURCE_IDX,
                                          .train_images = name[0][0],
                                          .train_labels = name[0][1],
                                          .test_images = name[1][0],
                                          .test_labels = name[1][1],
                                          .validation = 0.2,
                                          .seed = 1};
  return files;
}

START_TEST(every_sample_arrives_once_with_its_label) {
  struct files files = make_files();
  struct pbt_data_header *header;
  ck_ok(load(&files, &header));
  ck_assert_int_eq(header->n_train, 48);
  ck_assert_int_eq(header->n_validation, 12);
  ck_assert_int_eq(header->n_test, N_TEST);
  ck_assert_int_eq(header->n_class, CLASSES);
  ck_assert_int_eq(header->h, H);
  ck_assert_int_eq(header->w, W);
  const uint8_t *pixel = (uint8_t *)header + header->pixel_offset;
  const uint8_t *label = (uint8_t *)header + header->label_offset;
  int seen[N_TRAIN] = {0};
  for (int i = 0; i < N_TRAIN + N_TEST; i++) {
    int set = i >= N_TRAIN;
    int first = pixel[i * H * W]; // names the sample
    int of = set ? i - N_TRAIN : first / 3;
    for (int k = 0; k < H * W; k++) {
      ck_assert_int_eq(pixel[i * H * W + k], pixel_of(set, of, k));
    }
    ck_assert_int_eq(label[i], of % CLASSES);
    if (!set) {
      seen[of]++;
    }
  }
  for (int i = 0; i < N_TRAIN; i++) {
    ck_assert_int_eq(seen[i], 1);
  }
  end(&files, header);
}
END_TEST

START_TEST(mean_and_deviation_are_those_of_the_training_split) {
  struct files files = make_files();
  struct pbt_data_header *header;
  ck_ok(load(&files, &header));
  const uint8_t *pixel = (uint8_t *)header + header->pixel_offset;
  double n = 48 * H * W, sum = 0, square = 0;
  for (int i = 0; i < 48 * H * W; i++) {
    sum += pixel[i] / 255.0;
    square += pixel[i] / 255.0 * (pixel[i] / 255.0);
  }
  ck_assert_double_eq_tol((double)header->mean[0], sum / n, 1e-6);
  ck_assert_double_eq_tol((double)header->deviation[0],
                          sqrt(square / n - sum / n * (sum / n)), 1e-6);
  end(&files, header);
}
END_TEST

START_TEST(gzip_and_plain_give_the_same_block) {
  struct files files = make_files();
  struct pbt_data_header *plain, *zipped;
  ck_ok(load(&files, &plain));
  uint8_t data[4096];
  for (int set = 0; set < 2; set++) {
    for (int labels = 0; labels < 2; labels++) {
      char file[64];
      snprintf(file, sizeof file, "%s.gz", name[set][labels]);
      put_gzip(&files, file, data, make_file(set, labels, data));
      drop_file(&files, name[set][labels]);
    }
  }
  ck_ok(load(&files, &zipped)); // found with ".gz" added
  ck_assert_mem_eq(plain, zipped, plain->bytes);
  pbt_mem_free(plain);
  end(&files, zipped);
}
END_TEST

START_TEST(a_size_takes_the_first_so_many) {
  struct files files = make_files();
  files.source.train_size = 30;
  files.source.test_size = 1000; // more than there are: all
  struct pbt_data_header *header;
  ck_ok(load(&files, &header));
  ck_assert_int_eq(header->n_train + header->n_validation, 30);
  ck_assert_int_eq(header->n_test, N_TEST);
  const uint8_t *pixel = (uint8_t *)header + header->pixel_offset;
  for (int i = 0; i < 30; i++) {
    ck_assert_int_lt(pixel[i * H * W] / 3, 30);
  }
  end(&files, header);
}
END_TEST

START_TEST(a_missing_file_is_named_with_what_was_tried) {
  struct files files = make_files();
  drop_file(&files, "test-labels");
  must_fail(&files, PBT_ERR_MISSING, "test-labels: no such IDX file of labels, nor with");
}
END_TEST

START_TEST(swapped_names_are_recognised) {
  struct files files = make_files();
  files.source.train_images = "train-labels";
  files.source.train_labels = "train-images";
  must_fail(&files, PBT_ERR_DATA, "train-labels: holds labels where images are expected");
}
END_TEST

START_TEST(a_wrong_magic_is_shown) {
  struct files files = make_files();
  put_file(&files, "train-images", "PK\3\4 not IDX at all, some archive", 32);
  must_fail(&files, PBT_ERR_DATA,
            "train-images: not an IDX file of images: it begins "
            "with 50 4b 03 04, not with 00 00 08 03");
}
END_TEST

START_TEST(a_file_of_a_few_bytes_is_truncated) {
  struct files files = make_files();
  put_file(&files, "train-labels", "\0\0", 2);
  must_fail(&files, PBT_ERR_DATA, "train-labels: truncated");
}
END_TEST

START_TEST(a_cut_plain_file_is_truncated) {
  struct files files = make_files();
  uint8_t data[4096];
  size_t bytes = make_file(0, 0, data);
  put_file(&files, "train-images", data, bytes - 1);
  must_fail(&files, PBT_ERR_DATA, "train-images: truncated");
}
END_TEST

START_TEST(a_cut_file_is_found_even_if_only_its_head_is_wanted) {
  struct files files = make_files();
  uint8_t data[4096];
  size_t bytes = make_file(0, 0, data);
  put_file(&files, "train-images", data, bytes - 1);
  files.source.train_size = 15;
  must_fail(&files, PBT_ERR_DATA, "train-images: truncated");
}
END_TEST

/* Writes train-images gzipped, then changes it: cut off `cut` bytes, or flip the byte
 * that lies `flip` from the end. */
static void spoil_gzip(struct files *files, size_t cut, size_t flip) {
  uint8_t data[4096];
  put_gzip(files, "train-images", data, make_file(0, 0, data));
  char path[128];
  snprintf(path, sizeof path, "%s/train-images", files->folder);
  FILE *in = fopen(path, "rb");
  size_t bytes = fread(data, 1, sizeof data, in);
  fclose(in);
  if (flip > 0) {
    data[bytes - flip] ^= 1;
  }
  put_file(files, "train-images", data, bytes - cut);
}

START_TEST(a_cut_gzip_file_is_truncated) {
  const size_t cut[] = {1, 8, 40}; // in the length, the checksum, the data
  for (int i = 0; i < 3; i++) {
    struct files files = make_files();
    spoil_gzip(&files, cut[i], 0);
    must_fail(&files, PBT_ERR_DATA, "train-images: truncated");
  }
}
END_TEST

START_TEST(a_wrong_gzip_checksum_is_found) {
  struct files files = make_files();
  spoil_gzip(&files, 0, 8);
  must_fail(&files, PBT_ERR_DATA,
            "train-images: incorrect data check; the gzip file is damaged");
}
END_TEST

START_TEST(bytes_left_over_are_found) {
  for (int zip = 0; zip < 2; zip++) {
    struct files files = make_files();
    uint8_t data[4096];
    size_t bytes = make_file(1, 1, data);
    data[bytes] = 0;
    (zip ? put_gzip : put_file)(&files, "test-labels", data, bytes + 1);
    must_fail(&files, PBT_ERR_DATA, "test-labels: goes on after the 20 samples");
  }
}
END_TEST

START_TEST(counts_must_agree) {
  struct files files = make_files();
  uint8_t data[4096];
  put_file(&files, "train-labels", data, make_file(1, 1, data));
  must_fail(&files, PBT_ERR_DATA, "train-labels holds 20 labels");
}
END_TEST

START_TEST(train_and_test_images_must_be_of_one_size) {
  struct files files = make_files();
  uint8_t data[4096];
  size_t bytes = make_file(1, 0, data);
  put_header(data, 3, (uint32_t[]){N_TEST, W, H});
  put_file(&files, "test-images", data, bytes);
  must_fail(&files, PBT_ERR_DATA, "of 5 x 4 pixels but");
}
END_TEST

START_TEST(absurd_headers_are_refused) {
  const uint32_t dim[][3] = {
      {0, H, W}, {N_TRAIN, 0, W}, {N_TRAIN, H, 1 << 20}, {UINT32_MAX, H, W}};
  const char *const words[] = {"counts 0 images", "images of 0 x 4",
                               "images of 5 x 1048576", "counts 4294967295 images"};
  for (int i = 0; i < 4; i++) {
    struct files files = make_files();
    uint8_t data[4096];
    size_t bytes = make_file(0, 0, data);
    put_header(data, 3, dim[i]);
    put_file(&files, "train-images", data, bytes);
    must_fail(&files, PBT_ERR_DATA, words[i]);
  }
}
END_TEST

/* Writes train (0) or test (1) labels with one of them changed. */
static void change_label(struct files *files, int set, int i, uint8_t label) {
  uint8_t data[4096];
  size_t bytes = make_file(set, 1, data);
  data[8 + i] = label;
  put_file(files, name[set][1], data, bytes);
}

START_TEST(labels_out_of_range_are_refused) {
  struct files files = make_files();
  change_label(&files, 0, 17, 200);
  must_fail(&files, PBT_ERR_DATA, "train-labels: label 17 is 200; labels may be 0 to 63");
  files = make_files();
  change_label(&files, 1, 5, 7);
  must_fail(&files, PBT_ERR_DATA, "test label 5 is 7");
}
END_TEST

START_TEST(a_class_that_cannot_be_split_is_refused) {
  struct files files = make_files();
  change_label(&files, 0, 17, 4); // one sample of class 4, none of 3
  must_fail(&files, PBT_ERR_DATA, "class 3 has 0 images");
  files = make_files();
  change_label(&files, 0, 17, 3);
  must_fail(&files, PBT_ERR_DATA, "class 3 has 1 images");
}
END_TEST

START_TEST(a_folder_is_no_file) {
  struct files files = make_files();
  drop_file(&files, "train-images");
  char path[128];
  snprintf(path, sizeof path, "%s/train-images", files.folder);
  ck_assert_int_eq(mkdir(path, 0700), 0);
  must_fail(&files, PBT_ERR_DATA, "train-images: is a folder");
}
END_TEST

START_TEST(a_file_that_changed_since_the_probe_is_refused) {
  struct files files = make_files();
  files.source.folder = files.folder;
  size_t bytes;
  ck_ok(pbt_data_probe(&files.source, &bytes));
  void *block;
  ck_ok(pbt_mem_alloc(bytes + 64, &block));
  ck_fails(pbt_data_load(&files.source, block, bytes + 64), PBT_ERR_DATA, "have changed");
  end(&files, block);
}
END_TEST

START_TEST(a_validation_share_must_lie_between_0_and_1) {
  const double share[] = {0.0, 1.0, -0.5, (double)NAN};
  for (int i = 0; i < 4; i++) {
    struct files files = make_files();
    files.source.validation = share[i];
    must_fail(&files, PBT_ERR_DATA, "data.validation is");
  }
}
END_TEST

PBT_TEST_MAIN("data_idx", every_sample_arrives_once_with_its_label,
              mean_and_deviation_are_those_of_the_training_split,
              gzip_and_plain_give_the_same_block, a_size_takes_the_first_so_many,
              a_missing_file_is_named_with_what_was_tried, swapped_names_are_recognised,
              a_wrong_magic_is_shown, a_file_of_a_few_bytes_is_truncated,
              a_cut_plain_file_is_truncated,
              a_cut_file_is_found_even_if_only_its_head_is_wanted,
              a_cut_gzip_file_is_truncated, a_wrong_gzip_checksum_is_found,
              bytes_left_over_are_found, counts_must_agree,
              train_and_test_images_must_be_of_one_size, absurd_headers_are_refused,
              labels_out_of_range_are_refused, a_class_that_cannot_be_split_is_refused,
              a_folder_is_no_file, a_file_that_changed_since_the_probe_is_refused,
              a_validation_share_must_lie_between_0_and_1)
