/*
 * record_formats_test.c - docs/formats.md is true: names, types and examples, checked by
 * record_formats.py with h5py on files that this program writes.  The script takes the
 * folder of a real run as well.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/checkpoint_set.h"
#include "record/run_folder.h"
#include "record/tensor_file.h"
#define RUN "formats_run"
#include "tests/unit/record_lineage.h"

static const char run[] = RUN;

static struct pbt_tensor tensor[] = {
    {"conv1/weight", PBT_ROLE_WEIGHT, PBT_F32, 4, {6, 1, 5, 5}, 0},
    {"conv1/bias", PBT_ROLE_WEIGHT, PBT_F32, 1, {6}, 0},
    {"conv2/weight", PBT_ROLE_WEIGHT, PBT_F32, 4, {16, 6, 5, 5}, 0},
    {"conv2/bias", PBT_ROLE_WEIGHT, PBT_F32, 1, {16}, 0},
    {"dense1/weight", PBT_ROLE_WEIGHT, PBT_F32, 2, {120, 400}, 0},
    {"dense1/bias", PBT_ROLE_WEIGHT, PBT_F32, 1, {120}, 0},
    {"dense2/weight", PBT_ROLE_WEIGHT, PBT_F32, 2, {84, 120}, 0},
    {"dense2/bias", PBT_ROLE_WEIGHT, PBT_F32, 1, {84}, 0},
    {"output/weight", PBT_ROLE_WEIGHT, PBT_F32, 2, {10, 84}, 0},
    {"output/bias", PBT_ROLE_WEIGHT, PBT_F32, 1, {10}, 0},
};

static const struct pbt_fact fact[] = {
    {.name = "kind", .kind = PBT_FACT_TEXT, .text = "model"},
    {.name = "job", .kind = PBT_FACT_TEXT, .text = "name = \"digits\"\n"},
    {.name = "network", .kind = PBT_FACT_TEXT, .text = "lenet5"},
    {.name = "model", .kind = PBT_FACT_TEXT, .text = "mean = [0.1]\ndeviation = [0.2]\n"},
    {.name = "metric", .kind = PBT_FACT_TEXT, .text = "accuracy"},
    {.name = "fitness", .kind = PBT_FACT_REAL, .real = 0.9},
    {.name = "validation_loss", .kind = PBT_FACT_REAL, .real = 0.3},
    {.name = "validation_accuracy", .kind = PBT_FACT_REAL, .real = 0.9},
    {.name = "member", .kind = PBT_FACT_INTEGER, .integer = 1},
    {.name = "generation", .kind = PBT_FACT_INTEGER, .integer = 3},
    {.name = "seed", .kind = PBT_FACT_INTEGER, .integer = 1},
};

static void write_model_and_set(void) {
  struct pbt_state state;
  char *image, *bytes, folder[PBT_PATH_BYTES];
  size_t n;
  struct pbt_set_file file;
  ck_ok(pbt_state_layout(tensor, sizeof tensor / sizeof *tensor, &state));
  ck_ok(PBT_NEW(state.bytes, &image));
  ck_ok(pbt_tensor_file_build(fact, sizeof fact / sizeof *fact, &state, PBT_ROLE_WEIGHT,
                              image, &bytes, &n));
  ck_ok(pbt_file_replace(RUN "/best.h5", bytes, n));
  ck_ok(pbt_set_folder(run, 1, true, folder));
  ck_ok(pbt_set_write(folder, "member-00000.h5", bytes, n, &file));
  const struct pbt_manifest manifest = {
      .set = 1, .generation = 4, .n_member = 1, .n_file = 1, .file = &file};
  ck_ok(pbt_set_commit(run, &manifest, 2));
  pbt_mem_free(bytes);
  pbt_mem_free(image);
}

static void write_lineage(int64_t generations) {
  struct pbt_lineage *lineage = created();
  append_to(lineage, 0, generations);
  ck_ok(pbt_lineage_close(lineage));
  struct pbt_progress *progress;
  ck_ok(pbt_progress_open(run, 0, &progress));
  ck_ok(pbt_progress_append(progress, "{\"generation\": 0, \"best\": 0.5}"));
  pbt_progress_close(progress);
}

START_TEST(the_page_says_what_the_files_hold) {
  if (!have_h5py()) {
    printf("SKIP the_page_says_what_the_files_hold: /usr/bin/python3 has no h5py\n");
    return;
  }
  fresh_folder();
  write_lineage(6);
  write_model_and_set();
  char root[PBT_PATH_BYTES], command[4 * PBT_PATH_BYTES];
  snprintf(root, sizeof root, "%s", __FILE__); // ROOT/tests/unit/this
  for (int i = 0; i < 3; i++) {
    *strrchr(root, '/') = '\0';
  }
  snprintf(command, sizeof command,
           "/usr/bin/python3 -B %s/tests/unit/record_formats.py %s/docs/formats.md %s",
           root, root, run);
  ck_assert_int_eq(system(command), 0);
}
END_TEST

static void leave_unclosed(void) {
  fresh_folder();
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    append_to(created(), 0, 50);
    raise(SIGKILL);
  }
  waitpid(child, NULL, 0);
}

/* What the page says of h5clear: the short form destroys, the long one keeps. */
START_TEST(h5clear_is_as_bad_as_the_page_says) {
  if (system("h5clear -V > /dev/null 2>&1") != 0) {
    printf("SKIP h5clear_is_as_bad_as_the_page_says: no h5clear (hdf5-tools)\n");
    return;
  }
  leave_unclosed();
  ck_ok(pbt_file_link(path, RUN "/linked.h5"));
  ck_assert_int_eq(system("cd " RUN " && cp lineage.h5 long.h5 && "
                          "h5clear -s --increment=0 long.h5 && mv long.h5 lineage.h5"),
                   0);
  check_file(50, 1);
  ck_assert_int_eq(
      system("cd " RUN " && cp linked.h5 lineage.h5 && h5clear -s lineage.h5"), 0);
  ck_assert_int_eq(wrong_generations(50), 50);
}
END_TEST

PBT_TEST_MAIN("record_formats", the_page_says_what_the_files_hold,
              h5clear_is_as_bad_as_the_page_says)
