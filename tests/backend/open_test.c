/* Which backend and instruction set, and how a refusal reads. */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/memory.h"
#include "tests/test.h"

static const struct pbt_backend_ops *cpu(void) {
  return pbt_backend_find("cpu");
}

START_TEST(names_are_found) {
  ck_assert_str_eq(cpu()->name, "cpu");
  ck_assert_ptr_nonnull(pbt_backend_find("cuda"));
  ck_assert_ptr_null(pbt_backend_find("tpu"));
  ck_assert(strstr(pbt_backend_list(), "generic") != NULL);
}
END_TEST

START_TEST(cuda_opens_or_says_why_not) {
  struct pbt_backend *backend = NULL;
  struct pbt_backend_options options = {.threads = 1};
  const struct pbt_backend_ops *ops = pbt_backend_find("cuda");
  if (ops->open(&options, &backend) == PBT_OK) {
    ck_assert_str_eq(backend->ops->name, "cuda");
  } else {
    ck_assert_ptr_null(backend);
    ck_fails(ops->open(&options, &backend), PBT_ERR_UNAVAILABLE, "cuda");
    ck_fails(ops->open(&options, &backend), PBT_ERR_UNAVAILABLE, "backend = \"cpu\"");
  }
  ops->close(backend);
}
END_TEST

START_TEST(generic_runs_everywhere) {
  struct pbt_backend *backend = NULL;
  struct pbt_backend_options options = {.threads = 1, .isa = "generic"};
  ck_ok(cpu()->open(&options, &backend));
  ck_assert_str_eq(cpu()->describe(backend), "cpu generic, 1 thread");
  cpu()->close(backend);
  options.threads = 3;
  ck_ok(cpu()->open(&options, &backend));
  ck_assert_str_eq(cpu()->describe(backend), "cpu generic, 3 threads");
  cpu()->close(backend);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(an_unknown_instruction_set_is_refused) {
  struct pbt_backend *backend = NULL;
  struct pbt_backend_options options = {.threads = 1, .isa = "sse9"};
  ck_fails(cpu()->open(&options, &backend), PBT_ERR_UNAVAILABLE, "\"sse9\"");
  ck_assert_ptr_null(backend);
  setenv("PBT_ISA", "mmx", 1);
  options.isa = NULL;
  ck_fails(cpu()->open(&options, &backend), PBT_ERR_UNAVAILABLE, "\"mmx\"");
  setenv("PBT_ISA", "generic", 1);
  ck_ok(cpu()->open(&options, &backend));
  ck_assert(strstr(cpu()->describe(backend), "generic") != NULL);
  cpu()->close(backend);
}
END_TEST

START_TEST(no_threads_are_refused) {
  struct pbt_backend *backend = NULL;
  struct pbt_backend_options options = {.threads = 0, .isa = "generic"};
  ck_fails(cpu()->open(&options, &backend), PBT_ERR_UNAVAILABLE, "threads = 0");
}
END_TEST

PBT_TEST_MAIN("open", names_are_found, cuda_opens_or_says_why_not,
              generic_runs_everywhere, an_unknown_instruction_set_is_refused,
              no_threads_are_refused)
