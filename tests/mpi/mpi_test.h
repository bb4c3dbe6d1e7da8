/*
 * mpi_test.h - Check under mpiexec.
 *
 * Nothing forks after MPI_Init, so a failed assertion is a longjmp; on one rank alone it
 * would leave the others in a collective.  Hence every verdict is agreed first:
 * all_true() is collective and fails on all ranks or on none, after the ranks where the
 * condition is false have said so.  The agreement is MPI's own, not the code under test.
 */
#ifndef PBT_TESTS_MPI_TEST_H
#define PBT_TESTS_MPI_TEST_H

#include "tests/test.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "comm/comm.h"

static struct pbt_comm *comm; // of the whole program
static int rank, size;

static inline bool pbt_test_all(bool mine) {
  int all = 0, here = mine;
  MPI_Allreduce(&here, &all, 1, MPI_INT, MPI_LAND, MPI_COMM_WORLD);
  return all;
}

#define all_true(condition)                                                              \
  do {                                                                                   \
    bool mine_ = (condition);                                                            \
    if (!mine_) {                                                                        \
      fprintf(stderr, "rank %d of %d: %s:%d: false: %s\n", rank, size, __FILE__,         \
              __LINE__, #condition);                                                     \
    }                                                                                    \
    ck_assert_msg(pbt_test_all(mine_), "%s", #condition);                                \
  } while (0)

#define all_ok(call)                                                                     \
  do {                                                                                   \
    pbt_status status_ = (call);                                                         \
    if (status_ != PBT_OK) {                                                             \
      fprintf(stderr, "rank %d of %d: %s:%d: %s: %s\n", rank, size, __FILE__, __LINE__,  \
              #call, pbt_error());                                                       \
    }                                                                                    \
    ck_assert_msg(pbt_test_all(status_ == PBT_OK), "%s", #call);                         \
  } while (0)

/* Like PBT_TEST_MAIN; `comm`, `rank` and `size` are set, and no memory may be left. */
#define PBT_MPI_TEST_MAIN(name, ...)                                                     \
  int main(int argc, char **argv) {                                                      \
    if (pbt_comm_open(&argc, &argv, &comm) != PBT_OK) {                                  \
      pbt_comm_die(PBT_ERR_UNAVAILABLE);                                                 \
    }                                                                                    \
    rank = pbt_comm_rank(comm);                                                          \
    size = pbt_comm_size(comm);                                                          \
    if (rank != 0) {                                                                     \
      setenv("CK_VERBOSITY", "silent", 1);                                               \
    }                                                                                    \
    const TTest *const list[] = {__VA_ARGS__};                                           \
    int failed = pbt_run_suite(name, list, sizeof list / sizeof *list, CK_NOFORK);       \
    pbt_comm_close(comm);                                                                \
    if (pbt_mem_balance() != 0) {                                                        \
      fprintf(stderr, "rank %d: %lld blocks of memory left\n", rank,                     \
              (long long)pbt_mem_balance());                                             \
      return EXIT_FAILURE;                                                               \
    }                                                                                    \
    return failed;                                                                       \
  }

#endif
