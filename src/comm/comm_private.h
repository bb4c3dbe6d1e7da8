/* comm_private.h - for the sources of comm/ alone. */
#ifndef PBT_COMM_PRIVATE_H
#define PBT_COMM_PRIVATE_H

#include <mpi.h>

#include "comm/comm.h"

/* Every point-to-point message of the program. */
enum pbt_tag { PBT_TAG_GATHER = 1, PBT_TAG_CAST, PBT_TAG_STOP };

/* Bytes of one message of a cast or a broadcast.  Far below the 2^31 that a count can
 * say, because a rank of the tree passes one chunk on while it takes the next, and large
 * enough that a chunk's start costs nothing beside its copy. */
enum { PBT_CHUNK_BYTES = 4 << 20 };

enum { PBT_MAX_CHILDREN = 32 }; // of a rank in a binomial tree: log2 of the ranks

struct pbt_mapping {
  void *data;
  size_t bytes;
  struct pbt_mapping *next;
};

struct pbt_comm {
  MPI_Comm world; // our own copy
  MPI_Comm node;  // its ranks on this machine
  int rank;
  int size;
  int node_rank;
  int node_size;
  char host[MPI_MAX_PROCESSOR_NAME];

  int *count;           // (size) items of each rank's block, and where they begin:
  int *begin;           // (size) filled anew by each gather
  MPI_Request *request; // (size) of a gather
  MPI_Datatype item;    // `item_bytes` bytes, kept because calls repeat
  size_t item_bytes;

  MPI_Request *stop_request; // (size) the messages that this rank sent
  bool stop_mine;            // this rank asked
  int stop_taken;            // messages received

  struct pbt_mapping *mapping; // node memory to unmap
};

/* PBT_MPI(MPI_Send(...)): PBT_OK, or PBT_ERR_UNAVAILABLE with MPI's own words.  Local. */
#define PBT_MPI(call) pbt_mpi_status((call), #call, __FILE__, __LINE__)
pbt_status pbt_mpi_status(int code, const char *call, const char *file, int line);

/* Waits for the requests without keeping a core busy (wait.c).  Local. */
pbt_status pbt_comm_wait(MPI_Request request[], int n);
/* Likewise, until all ranks of `group` have called it.  Collective over the group. */
pbt_status pbt_comm_meet(MPI_Comm group);

/* Frees every block of node memory.  Local. */
void pbt_comm_node_free(struct pbt_comm *comm);

#endif
