/*
 * test.h - a Check suite from a list of tests, with one line of main.
 *
 *   START_TEST(nan_ranks_last) { ... } END_TEST
 *   PBT_TEST_MAIN("rank", nan_ranks_last, ties_fall_by_coin)
 *
 * Unit tests fork (a crash is one red test); MPI tests do not (PBT_MPI_TEST_MAIN in
 * tests/mpi).  Every test should end with pbt_mem_balance() as it began.
 */
#ifndef PBT_TESTS_TEST_H
#define PBT_TESTS_TEST_H

#include <check.h>
#include <stdlib.h>

#include "base/status.h"

static inline int pbt_run_suite(const char *name, const TTest *const test[], size_t n,
                                enum fork_status fork_status) {
  Suite *suite = suite_create(name);
  TCase *tcase = tcase_create(name);
  tcase_set_timeout(tcase, 300); // ctest's TIMEOUT is the real guard
  for (size_t i = 0; i < n; i++) {
    tcase_add_test(tcase, test[i]);
  }
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_set_fork_status(runner, fork_status);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define PBT_TEST_MAIN(name, ...)                                                         \
  int main(void) {                                                                       \
    const TTest *const list[] = {__VA_ARGS__};                                           \
    return pbt_run_suite(name, list, sizeof list / sizeof *list, CK_FORK);               \
  }

/* A call that must succeed; its message is shown if it does not. */
#define ck_ok(call)                                                                      \
  do {                                                                                   \
    pbt_status ck_status_ = (call);                                                      \
    ck_assert_msg(ck_status_ == PBT_OK, "%s: %d: %s", #call, ck_status_, pbt_error());   \
  } while (0)

/* A call that must fail with this status and a message that contains `words`. */
#define ck_fails(call, expected, words)                                                  \
  do {                                                                                   \
    pbt_error_clear();                                                                   \
    pbt_status ck_status_ = (call);                                                      \
    ck_assert_msg(ck_status_ == (expected), "%s: %d: %s", #call, ck_status_,             \
                  pbt_error());                                                          \
    ck_assert_msg(strstr(pbt_error(), (words)) != NULL, "message: %s", pbt_error());     \
    pbt_error_clear();                                                                   \
  } while (0)

#endif
