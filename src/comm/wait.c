/*
 * wait.c - waiting that leaves the core to those who still work.
 *
 * MPI waits by polling, and a rank that is ready early waits for the slowest.  With a
 * core for each rank that costs nothing but power; with more ranks than cores the waiting
 * ranks take time from the very ranks they wait for, even if they yield (31 of them took
 * 3 % of the last one on Linux 6.18; a scheduler that is strictly fair gives them their
 * share). So we poll for a moment, because most waits are short, and then sleep between
 * polls, never longer than a sixteenth of the time waited so far: short waits stay short,
 * and a wait of half a second for the last of 8 or 32 ranks ends 5 or 10 milliseconds
 * late.
 *
 * A collective that may wait long begins with a barrier waited for in this way; once all
 * have met, MPI's own blocking call is quick, and its algorithms are the better ones.
 */
#include "comm/comm_private.h"

#include "base/clock.h" // pbt_seconds

#include <sched.h>
#include <time.h>

static const double poll_seconds = 50e-6;
static const double longest_nap = 1e-3;

static void nap(double waited) {
  if (waited < poll_seconds) {
    sched_yield();
    return;
  }
  double seconds = waited / 16 < longest_nap ? waited / 16 : longest_nap;
  nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 1e9)}, NULL);
}

pbt_status pbt_comm_wait(MPI_Request request[], int n) {
  double start = pbt_seconds();
  for (;;) {
    int done = 0;
    PBT_TRY(PBT_MPI(MPI_Testall(n, request, &done, MPI_STATUSES_IGNORE)));
    if (done) {
      return PBT_OK;
    }
    nap(pbt_seconds() - start);
  }
}

pbt_status pbt_comm_meet(MPI_Comm group) {
  MPI_Request request = MPI_REQUEST_NULL;
  PBT_TRY(PBT_MPI(MPI_Ibarrier(group, &request)));
  return pbt_comm_wait(&request, 1);
}
