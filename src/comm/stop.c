/*
 * stop.c - one rank was told to stop; the others hear of it between slices of training.
 *
 * An empty message to every other rank, looked for with a probe: no rank waits for any
 * other.  Several ranks may ask at once, so a rank cannot know how many messages are
 * under way to it; settling counts who asked and takes exactly those.
 */
#include "comm/comm_private.h"

pbt_status pbt_comm_stop_ask(struct pbt_comm *comm) {
  if (comm->stop_mine) {
    return PBT_OK;
  }
  comm->stop_mine = true;
  for (int r = 0; r < comm->size; r++) {
    if (r != comm->rank) {
      PBT_TRY(PBT_MPI(MPI_Isend(NULL, 0, MPI_BYTE, r, PBT_TAG_STOP, comm->world,
                                &comm->stop_request[r])));
    }
  }
  return PBT_OK;
}

static pbt_status take_one(struct pbt_comm *comm) {
  PBT_TRY(PBT_MPI(MPI_Recv(NULL, 0, MPI_BYTE, MPI_ANY_SOURCE, PBT_TAG_STOP, comm->world,
                           MPI_STATUS_IGNORE)));
  comm->stop_taken++;
  return PBT_OK;
}

pbt_status pbt_comm_stop_asked(struct pbt_comm *comm, bool *asked) {
  for (;;) {
    int there = 0;
    PBT_TRY(PBT_MPI(MPI_Iprobe(MPI_ANY_SOURCE, PBT_TAG_STOP, comm->world, &there,
                               MPI_STATUS_IGNORE)));
    if (!there) {
      break;
    }
    PBT_TRY(take_one(comm));
  }
  *asked = comm->stop_mine || comm->stop_taken > 0;
  return PBT_OK;
}

pbt_status pbt_comm_stop_settle(struct pbt_comm *comm) {
  int mine = comm->stop_mine ? 1 : 0, all = 0;
  PBT_TRY(pbt_comm_meet(comm->world));
  PBT_TRY(PBT_MPI(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_SUM, comm->world)));
  while (comm->stop_taken < all - mine) {
    PBT_TRY(take_one(comm));
  }
  PBT_TRY(pbt_comm_wait(comm->stop_request, comm->size));
  comm->stop_taken -= all - mine;
  comm->stop_mine = false;
  return PBT_OK;
}
