/*
 * cast.c - one rank's bytes to several others.
 *
 * The ranks of the list form a binomial tree: position p has its parent at p without its
 * lowest set bit, and its children at p + 1, p + 2, p + 4, ... below that bit.  So a
 * donor of n receivers sends log2(n + 1) times instead of n times.  Bytes travel in
 * chunks, and a rank in the middle passes one on while the next arrives.  Where the bytes
 * live elsewhere, on a device, the donor fetches a chunk while the one before it is sent,
 * and a receiver puts one away while the next arrives.
 *
 * Casts follow each other without a barrier.  Messages between two ranks keep their
 * order, and all who share casts call them in the same order, so the first cast that is
 * not yet done always has all its ranks on their way to it: no cycle, hence no deadlock.
 */
#include "comm/comm_private.h"

#include "base/fault.h" // pbt_fault

struct tree {
  int parent;                  // rank, or -1 at the root
  int child[PBT_MAX_CHILDREN]; // ranks, the one with the largest subtree first
  int n_children;
};

static struct tree tree_at(const int rank[], int n, int position) {
  struct tree tree = {.parent = -1};
  int bit = 1;
  while (bit < n && (position & bit) == 0) {
    bit <<= 1;
  }
  if (position > 0) {
    tree.parent = rank[position - bit];
  }
  for (bit >>= 1; bit > 0; bit >>= 1) {
    if (position + bit < n) {
      tree.child[tree.n_children++] = rank[position + bit];
    }
  }
  return tree;
}

static int position_of(const int rank[], int n, int mine) {
  for (int i = 0; i < n; i++) {
    if (rank[i] == mine) {
      return i;
    }
  }
  return -1;
}

/* The bytes of one chunk. */
struct chunk {
  char *data;
  int bytes;
};

static struct chunk chunk_at(void *data, size_t bytes, size_t i) {
  size_t at = i * PBT_CHUNK_BYTES;
  size_t left = bytes - at;
  return (struct chunk){.data = (char *)data + at,
                        .bytes = (int)(left < PBT_CHUNK_BYTES ? left : PBT_CHUNK_BYTES)};
}

static pbt_status take(struct pbt_comm *comm, int parent, struct chunk chunk,
                       MPI_Request *request) {
  return PBT_MPI(MPI_Irecv(chunk.data, chunk.bytes, MPI_BYTE, parent, PBT_TAG_CAST,
                           comm->world, request));
}

static pbt_status handle(const struct pbt_cast_part *part, size_t bytes, size_t i) {
  size_t at = i * PBT_CHUNK_BYTES;
  if (part == NULL || at >= bytes) {
    return PBT_OK;
  }
  size_t left = bytes - at;
  return part->handle(part->context, at, left < PBT_CHUNK_BYTES ? left : PBT_CHUNK_BYTES);
}

pbt_status pbt_comm_cast(struct pbt_comm *comm, const int rank[], int n, void *data,
                         size_t bytes, const struct pbt_cast_part *part) {
  PBT_TRY(pbt_fault("comm_cast", PBT_ERR_UNAVAILABLE));
  int position = position_of(rank, n, comm->rank);
  if (position < 0) {
    return PBT_BUG("a rank in a cast that does not list it");
  }
  const struct tree tree = tree_at(rank, n, position);
  const size_t n_chunks = (bytes + PBT_CHUNK_BYTES - 1) / PBT_CHUNK_BYTES;
  MPI_Request arriving = MPI_REQUEST_NULL;
  MPI_Request leaving[PBT_MAX_CHILDREN];
  if (tree.parent >= 0 && n_chunks > 0) {
    PBT_TRY(take(comm, tree.parent, chunk_at(data, bytes, 0), &arriving));
  }
  const bool root = position == 0;
  if (root) {
    PBT_TRY(handle(part, bytes, 0));
  }
  for (size_t i = 0; i < n_chunks; i++) {
    PBT_TRY(pbt_comm_wait(&arriving, 1));
    if (tree.parent >= 0 && i + 1 < n_chunks) {
      PBT_TRY(take(comm, tree.parent, chunk_at(data, bytes, i + 1), &arriving));
    }
    struct chunk chunk = chunk_at(data, bytes, i);
    for (int c = 0; c < tree.n_children; c++) {
      PBT_TRY(PBT_MPI(MPI_Isend(chunk.data, chunk.bytes, MPI_BYTE, tree.child[c],
                                PBT_TAG_CAST, comm->world, &leaving[c])));
    }
    PBT_TRY(handle(part, bytes, root ? i + 1 : i));
    PBT_TRY(pbt_comm_wait(leaving, tree.n_children));
  }
  return PBT_OK;
}
