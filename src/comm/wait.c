/*
 * wait.c - waiting that leaves the core to those who still work.
 *
 * MPI waits by polling, and a rank that is ready early waits for the slowest.  With one
 * core a rank that costs nothing but power; with more ranks than cores it takes time from
 * the very ranks it waits for, even if it yields, for a scheduler that is fair gives the
 * waiting ranks their share.  So we poll for a moment, because most waits are short, and
 * then sleep between polls, never longer than a sixteenth of the time waited so far: the
 * wait gets longer by a sixteenth at most, and by two milliseconds at most.
 *
 * A collective that may wait long begins with a barrier waited for in this way; once all
 * have met, MPI's own blocking call is quick, and its algorithms are the better ones.
 */
#include "comm/comm_private.h"

#include "base/clock.h" // pbt_seconds

#include <sched.h>
#include <time.h>

static const double poll_seconds = 50e-6;
static const double longest_nap = 2e-3;

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
