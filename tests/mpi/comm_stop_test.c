#include "tests/mpi/mpi_test.h"

#include "base/clock.h"

#include <time.h>

/* As the loop does it: look between slices until somebody asked, then meet and settle. */
static bool hears_within(double seconds) {
  double start = pbt_seconds();
  bool asked = false;
  while (!asked && pbt_seconds() - start < seconds) {
    if (pbt_comm_stop_asked(comm, &asked) != PBT_OK) {
      return false;
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return asked;
}

static bool nothing_under_way(void) {
  bool asked = true;
  MPI_Barrier(MPI_COMM_WORLD);
  nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  return pbt_comm_stop_asked(comm, &asked) == PBT_OK && !asked;
}

START_TEST(nobody_asked) {
  all_true(nothing_under_way());
  all_ok(pbt_comm_stop_settle(comm));
  all_true(nothing_under_way());
}
END_TEST

START_TEST(one_asks_and_all_hear) {
  for (int asker = 0; asker < size; asker++) {
    all_ok(rank == asker ? pbt_comm_stop_ask(comm) : PBT_OK);
    all_true(hears_within(20));
    all_ok(pbt_comm_stop_settle(comm));
    all_true(nothing_under_way());
  }
}
END_TEST

START_TEST(two_ask_one_of_them_twice) {
  bool mine = rank == 0 || rank == size - 1;
  all_ok(mine ? pbt_comm_stop_ask(comm) : PBT_OK);
  all_ok(rank == 0 ? pbt_comm_stop_ask(comm) : PBT_OK);
  all_true(hears_within(20));
  all_ok(pbt_comm_stop_settle(comm));
  all_true(nothing_under_way());
}
END_TEST

START_TEST(all_ask_at_once) {
  for (int round = 0; round < 20; round++) {
    all_ok(pbt_comm_stop_ask(comm));
    all_true(hears_within(20));
    all_ok(pbt_comm_stop_settle(comm));
  }
  all_true(nothing_under_way());
}
END_TEST

START_TEST(settles_messages_never_looked_at) {
  all_ok(rank == 0 ? pbt_comm_stop_ask(comm) : PBT_OK);
  all_ok(pbt_comm_stop_settle(comm)); // no rank has probed
  all_true(nothing_under_way());
}
END_TEST

START_TEST(a_message_waits_beside_a_gather) {
  double all[8], mine = rank;
  all_ok(rank == size - 1 ? pbt_comm_stop_ask(comm) : PBT_OK);
  all_ok(pbt_comm_allgather(comm, &mine, sizeof mine, size, all));
  all_true(all[size - 1] == size - 1);
  all_true(hears_within(20));
  all_ok(pbt_comm_stop_settle(comm));
}
END_TEST

PBT_MPI_TEST_MAIN("comm_stop", nobody_asked, one_asks_and_all_hear,
                  two_ask_one_of_them_twice, all_ask_at_once,
                  settles_messages_never_looked_at, a_message_waits_beside_a_gather)
