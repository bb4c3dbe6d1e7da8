#include "tests/mpi/mpi_test.h"

#include <setjmp.h>
#include <signal.h>

enum { BYTES = 3000001 };

START_TEST(one_rank_fills_and_all_see) {
  struct pbt_node_memory memory;
  all_ok(pbt_comm_node_memory(comm, BYTES, &memory));
  all_true(memory.shared && memory.bytes == BYTES && memory.data != NULL);
  all_true(memory.fill == (rank == 0));
  const char *seen = memory.data;
  all_true(seen[0] == 0 && seen[BYTES - 1] == 0);
  if (memory.fill) {
    memset(memory.data, 42, BYTES);
  }
  all_ok(pbt_comm_node_ready(comm, &memory));
  all_true(seen[0] == 42 && seen[BYTES / 2] == 42 && seen[BYTES - 1] == 42);
}
END_TEST

START_TEST(two_blocks_are_apart) {
  struct pbt_node_memory memory[2];
  for (int i = 0; i < 2; i++) {
    all_ok(pbt_comm_node_memory(comm, 100, &memory[i]));
    if (memory[i].fill) {
      memset(memory[i].data, i + 1, 100);
    }
  }
  for (int i = 0; i < 2; i++) {
    all_ok(pbt_comm_node_ready(comm, &memory[i]));
    all_true(((char *)memory[i].data)[99] == i + 1);
  }
}
END_TEST

START_TEST(nothing_at_all_is_fine) {
  struct pbt_node_memory memory;
  all_ok(pbt_comm_node_memory(comm, 0, &memory));
  all_true(memory.data != NULL && memory.bytes == 0);
  all_ok(pbt_comm_node_ready(comm, &memory));
}
END_TEST

START_TEST(private_copies_when_sharing_fails) {
  setenv("PBT_SHM_LIMIT", "1000", 1);
  struct pbt_node_memory small, large;
  all_ok(pbt_comm_node_memory(comm, 1000, &small));
  all_ok(pbt_comm_node_memory(comm, 1001, &large));
  unsetenv("PBT_SHM_LIMIT");
  all_true(small.shared && !large.shared);
  all_true(large.fill);
  memset(large.data, rank + 1, 1001);
  all_ok(pbt_comm_node_ready(comm, &large));
  all_true(((char *)large.data)[1000] == rank + 1); // nobody wrote into another's
  all_ok(pbt_comm_node_ready(comm, &small));
}
END_TEST

static sigjmp_buf before_write;

static void caught(int signal_number) {
  siglongjmp(before_write, signal_number);
}

START_TEST(ready_memory_cannot_be_written) {
  for (int shared = 0; shared < 2; shared++) {
    setenv("PBT_SHM_LIMIT", shared ? "1000" : "0", 1);
    struct pbt_node_memory memory;
    all_ok(pbt_comm_node_memory(comm, 100, &memory));
    unsetenv("PBT_SHM_LIMIT");
    all_true(memory.shared == (shared == 1));
    all_ok(pbt_comm_node_ready(comm, &memory));
    struct sigaction old, catch = {.sa_handler = caught};
    sigaction(SIGSEGV, &catch, &old);
    volatile bool stopped = false;
    if (sigsetjmp(before_write, 1) == 0) {
      *(volatile char *)memory.data = 1;
    } else {
      stopped = true;
    }
    sigaction(SIGSEGV, &old, NULL);
    all_true(stopped);
  }
}
END_TEST

PBT_MPI_TEST_MAIN("comm_node_memory", one_rank_fills_and_all_see, two_blocks_are_apart,
                  nothing_at_all_is_fine, private_copies_when_sharing_fails,
                  ready_memory_cannot_be_written)
