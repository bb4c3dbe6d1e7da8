/* MNIST itself, where PBT_DATA_DIR has it: published figures, and one quick training. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/golden/world.h"

enum { SKIP = 77 };

static char folder[512];

static struct pbt_data_source mnist(void) {
  return (struct pbt_data_source){.kind = PBT_SOURCE_IDX,
                                  .folder = folder,
                                  .train_images = "train-images-idx3-ubyte",
                                  .train_labels = "train-labels-idx1-ubyte.gz",
                                  .test_images = "t10k-images-idx3-ubyte",
                                  .test_labels = "t10k-labels-idx1-ubyte",
                                  .validation = 1.0 / 12.0,
                                  .seed = 1};
}

START_TEST(the_files_are_as_published) {
  const struct pbt_data_source source = mnist();
  struct world world = open_world(&source, 1, 64);
  const struct pbt_data_header *data = world.data;
  ck_assert_int_eq(data->n_train, 55000);
  ck_assert_int_eq(data->n_validation, 5000);
  ck_assert_int_eq(data->n_test, 10000);
  ck_assert_int_eq(data->n_class, 10);
  ck_assert_double_eq_tol((double)data->mean[0], 0.1307, 0.001);
  ck_assert_double_eq_tol((double)data->deviation[0], 0.3081, 0.001);
  const uint8_t first[] = {7, 2, 1, 0, 4}; // of the test set
  ck_assert_mem_eq((const uint8_t *)data + data->label_offset + 60000, first, 5);
  close_world(&world);
}
END_TEST

START_TEST(one_epoch_reaches_98_percent) {
  const struct pbt_data_source source = mnist();
  struct world world = open_world(&source, 1, 64);
  for (int k = 0; k < 6; k++) {
    const struct pbt_hyper hyper = {.lr = 0.03f * (float)(6 - k) / 6.0f,
                                    .momentum = 0.9f};
    struct pbt_tally tally;
    ck_ok(pbt_net_set_hyper(world.net, &hyper));
    ck_ok(pbt_net_train(world.net, &world.batch, 144, &tally));
  }
  double accuracy = test_accuracy(&world);
  printf("test accuracy %.4f\n", accuracy);
  ck_assert_double_gt(accuracy, 0.98);
  close_world(&world);
}
END_TEST

int main(void) {
  const char *data = getenv("PBT_DATA_DIR");
  snprintf(folder, sizeof folder, "%s/mnist", data == NULL ? "" : data);
  if (data == NULL || data[0] == '\0' || !pbt_file_is_folder(folder)) {
    printf("SKIP: no folder mnist/ in PBT_DATA_DIR\n");
    return SKIP;
  }
  const TTest *const list[] = {the_files_are_as_published, one_epoch_reaches_98_percent};
  return pbt_run_suite("mnist", list, sizeof list / sizeof *list, CK_FORK);
}
