/* A small lineage, written by record/, as settings: the winner's way through its donors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "pbt/replay.h"
#include "record/lineage.h"
#include "tests/test.h"

enum { MEMBERS = 3, GENERATIONS = 4 };

static char run[PBT_PATH_BYTES];

/* Member m in generation g has lr (g + 1) + m / 10 and the option m; member 2 takes over
 * member 0 after generation 1, and wins in generation 3. */
static void write_run(void) {
  snprintf(run, sizeof run, "replay-test-%d", (int)getpid());
  ck_ok(pbt_file_make_folders(run));
  char path[PBT_PATH_BYTES];
  ck_ok(pbt_path_join(path, run, "lineage.h5"));
  const struct pbt_hparam hparam[] = {
      {.name = "lr", .kind = PBT_REAL, .low = 0, .high = 9},
      {.name = "momentum",
       .kind = PBT_CHOICE,
       .high = 2,
       .n_option = 3,
       .option = {0.5, 0.75, 0.875}}};
  const struct pbt_lineage_info info = {.n_member = MEMBERS,
                                        .n_hparam = 2,
                                        .hparam = hparam,
                                        .job_text = "",
                                        .job_name = "test",
                                        .metric = "accuracy",
                                        .version = "0"};
  const struct pbt_lineage_start start = {.ranks = 1};
  struct pbt_lineage *lineage = NULL;
  ck_ok(pbt_lineage_create(path, &info, &start, &lineage));
  for (int g = 0; g < GENERATIONS; g++) {
    struct pbt_lineage_row row[MEMBERS] = {{0}};
    for (int m = 0; m < MEMBERS; m++) {
      row[m].parent = g == 1 && m == 2 ? 0 : m;
      row[m].value[0] = g + 1 + m / 8.0;
      row[m].value[1] = m;
    }
    const struct pbt_lineage_commit commit = {
        .generation = g, .best_member = 2, .best_generation = g};
    ck_ok(pbt_lineage_append(lineage, row, &commit));
  }
  ck_ok(pbt_lineage_close(lineage));
}

static void expect(const char *suffix, bool final, const char *lr, const char *momentum) {
  char what[PBT_PATH_BYTES + 8], want[512];
  struct pbt_text settings = {0};
  snprintf(what, sizeof what, "%s%s", run, suffix);
  ck_ok(pbt_replay_settings(what, final, &settings));
  snprintf(want, sizeof want,
           "exploit.kind=none\nexplore.kind=replay\nsearch.lr.schedule=[%s]\n"
           "search.momentum.schedule=[%s]\n",
           lr, momentum);
  ck_assert_str_eq(settings.data, want);
  pbt_text_free(&settings);
}

START_TEST(the_way_to_a_member_leads_through_its_donors) {
  write_run();
  expect("", false, "1, 2, 3.25, 4.25", "0.5, 0.5, 0.875, 0.875");
  expect(":1", false, "1.125, 2.125, 3.125, 4.125", "0.75, 0.75, 0.75, 0.75");
  expect("", true, "4.25", "0.875");
  char what[PBT_PATH_BYTES + 8];
  struct pbt_text settings = {0};
  snprintf(what, sizeof what, "%s:3", run);
  ck_fails(pbt_replay_settings(what, false, &settings), PBT_ERR_DATA,
           "has members 0 to 2, not 3");
  pbt_text_free(&settings);
  ck_assert(pbt_replay_settings("no-such-run", false, &settings) != PBT_OK);
  pbt_error_clear();
  pbt_text_free(&settings);
  ck_ok(pbt_file_remove(run));
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

PBT_TEST_MAIN("replay", the_way_to_a_member_leads_through_its_donors)
