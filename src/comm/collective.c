/*
 * collective.c - what all ranks do together, but for weights.
 *
 * Each begins with pbt_comm_meet (see wait.c), so the blocking call after it finds all
 * ranks there.  The exception is the gather: it is made of single messages, so that a
 * rank that has handed over its block goes on.
 */
#include "comm/comm_private.h"

#include "base/digest.h" // pbt_digest
#include "base/fault.h"  // pbt_fault
#include "base/memory.h" // pbt_mem_alloc

#include <limits.h>
#include <string.h>

// ---------------------------------------------------------------- agreement

pbt_status pbt_comm_agree(struct pbt_comm *comm, pbt_status mine) {
  struct {
    int status;
    int rank;
  } in = {.status = (int)mine, .rank = comm->rank}, worst = in;
  PBT_TRY(pbt_comm_meet(comm->world));
  /* MAXLOC: the greatest status and, of those that hold it, the lowest rank. */
  PBT_TRY(PBT_MPI(MPI_Allreduce(&in, &worst, 1, MPI_2INT, MPI_MAXLOC, comm->world)));
  if (worst.status == PBT_OK || worst.rank != comm->rank) {
    pbt_error_clear();
  }
  return (pbt_status)worst.status;
}

pbt_status pbt_comm_same(struct pbt_comm *comm, const void *data, size_t bytes,
                         bool *same) {
  /* All are equal if the greatest is the smallest; ~ turns one into the other. */
  uint64_t digest = pbt_digest(data, bytes);
  uint64_t in[4] = {digest, ~digest, bytes, ~(uint64_t)bytes}, most[4] = {0};
  PBT_TRY(pbt_comm_meet(comm->world));
  PBT_TRY(PBT_MPI(MPI_Allreduce(in, most, 4, MPI_UINT64_T, MPI_MAX, comm->world)));
  *same = most[0] == ~most[1] && most[2] == ~most[3];
  return PBT_OK;
}

pbt_status pbt_comm_barrier(struct pbt_comm *comm) {
  return pbt_comm_meet(comm->world);
}

// ---------------------------------------------------------------- from rank 0 to all

pbt_status pbt_comm_broadcast(struct pbt_comm *comm, void *data, size_t bytes) {
  PBT_TRY(pbt_comm_meet(comm->world));
  for (size_t at = 0; at < bytes; at += PBT_CHUNK_BYTES) {
    size_t n = bytes - at < PBT_CHUNK_BYTES ? bytes - at : PBT_CHUNK_BYTES;
    PBT_TRY(PBT_MPI(MPI_Bcast((char *)data + at, (int)n, MPI_BYTE, 0, comm->world)));
  }
  return PBT_OK;
}

pbt_status pbt_comm_share(struct pbt_comm *comm, pbt_status status, char **data,
                          size_t *bytes) {
  int64_t head[2] = {(int64_t)status, status == PBT_OK ? (int64_t)*bytes : 0};
  if (comm->rank != 0) {
    *data = NULL;
    *bytes = 0;
    pbt_error_clear();
  }
  PBT_TRY(pbt_comm_broadcast(comm, head, sizeof head));
  if (head[0] != PBT_OK) {
    return (pbt_status)head[0];
  }
  pbt_status room = PBT_OK;
  if (comm->rank != 0) {
    room = pbt_mem_alloc((size_t)head[1] + 1, (void **)data); // zeroed: ends with NUL
  }
  pbt_status all = pbt_comm_agree(comm, room);
  if (all == PBT_OK) {
    all = pbt_comm_broadcast(comm, *data, (size_t)head[1]);
  }
  if (all == PBT_OK) {
    *bytes = (size_t)head[1];
  } else if (comm->rank != 0) {
    pbt_mem_free(*data);
    *data = NULL;
  }
  return all;
}

// ---------------------------------------------------------------- blocks

void pbt_block(int64_t n_items, int size, int rank, int64_t *begin, int64_t *end) {
  int64_t least = n_items / size, more = n_items % size; // `more` ranks own one more
  *begin = rank * least + (rank < more ? rank : more);
  *end = *begin + least + (rank < more ? 1 : 0);
}

int pbt_block_owner(int64_t n_items, int size, int64_t item) {
  int64_t least = n_items / size, more = n_items % size;
  int64_t in_larger = more * (least + 1);
  if (item < in_larger) {
    return (int)(item / (least + 1));
  }
  return (int)(more + (item - in_larger) / least);
}

/* Counts are in items, not bytes, so that no block of bytes is too large to count. */
static pbt_status set_blocks(struct pbt_comm *comm, size_t item_bytes, int64_t n_items) {
  if (item_bytes == 0 || item_bytes > INT_MAX || n_items < 0 || n_items > INT_MAX) {
    return PBT_BUG("a gather of more than MPI can count");
  }
  for (int r = 0; r < comm->size; r++) {
    int64_t begin = 0, end = 0;
    pbt_block(n_items, comm->size, r, &begin, &end);
    comm->begin[r] = (int)begin;
    comm->count[r] = (int)(end - begin);
  }
  if (comm->item_bytes == item_bytes) {
    return PBT_OK;
  }
  if (comm->item != MPI_DATATYPE_NULL) {
    PBT_TRY(PBT_MPI(MPI_Type_free(&comm->item)));
  }
  PBT_TRY(PBT_MPI(MPI_Type_contiguous((int)item_bytes, MPI_BYTE, &comm->item)));
  PBT_TRY(PBT_MPI(MPI_Type_commit(&comm->item)));
  comm->item_bytes = item_bytes;
  return PBT_OK;
}

pbt_status pbt_comm_allgather(struct pbt_comm *comm, const void *mine, size_t item_bytes,
                              int64_t n_items, void *all) {
  PBT_TRY(pbt_fault("comm_allgather", PBT_ERR_UNAVAILABLE));
  PBT_TRY(set_blocks(comm, item_bytes, n_items));
  PBT_TRY(pbt_comm_meet(comm->world));
  const char *place = (char *)all + (size_t)comm->begin[comm->rank] * item_bytes;
  return PBT_MPI(MPI_Allgatherv(mine == place ? MPI_IN_PLACE : mine,
                                comm->count[comm->rank], comm->item, all, comm->count,
                                comm->begin, comm->item, comm->world));
}

pbt_status pbt_comm_gather(struct pbt_comm *comm, const void *mine, size_t item_bytes,
                           int64_t n_items, void *all) {
  PBT_TRY(pbt_fault("comm_gather", PBT_ERR_UNAVAILABLE));
  PBT_TRY(set_blocks(comm, item_bytes, n_items));
  int my_count = comm->count[comm->rank];
  if (comm->rank != 0) {
    PBT_TRY(PBT_MPI(MPI_Isend(mine, my_count, comm->item, 0, PBT_TAG_GATHER, comm->world,
                              comm->request)));
    return pbt_comm_wait(comm->request, 1);
  }
  memmove(all, mine, (size_t)my_count * item_bytes); // rank 0's block is the first
  comm->request[0] = MPI_REQUEST_NULL;
  for (int r = 1; r < comm->size; r++) {
    char *to = (char *)all + (size_t)comm->begin[r] * item_bytes;
    PBT_TRY(PBT_MPI(MPI_Irecv(to, comm->count[r], comm->item, r, PBT_TAG_GATHER,
                              comm->world, &comm->request[r])));
  }
  return pbt_comm_wait(comm->request, comm->size);
}
