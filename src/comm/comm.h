/*
 * comm.h - everything that one rank says to another.  The only folder that knows MPI.
 *
 * Whatever fails inside MPI is PBT_ERR_UNAVAILABLE with MPI's own words.  A function says
 * whether it is Collective (all ranks of the job call it, in the same order) or Local.
 * After a failure that is not shared by all ranks, no collective may be entered: the
 * status climbs to main, which calls pbt_comm_die().
 */
#ifndef PBT_COMM_COMM_H
#define PBT_COMM_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct pbt_comm;

/* Starts MPI (one thread talks to it) and duplicates the world.  Collective. */
pbt_status pbt_comm_open(int *argc, char ***argv, struct pbt_comm **comm);
/* Ends MPI.  Collective; NULL is fine. */
void pbt_comm_close(struct pbt_comm *comm);

int pbt_comm_rank(const struct pbt_comm *comm); // Local, as the next four
int pbt_comm_size(const struct pbt_comm *comm);
int pbt_comm_node_rank(const struct pbt_comm *comm); // among the ranks of this node
int pbt_comm_node_size(const struct pbt_comm *comm);
const char *pbt_comm_host(const struct pbt_comm *comm);
const char *pbt_comm_library(void); // "Open MPI 4.1.4"; works before open

/* The whole processors that each rank may use for itself: its share of those of its node
 * that it is not kept from, at least 1, the least of all ranks'.  Collective. */
pbt_status pbt_comm_processors(struct pbt_comm *comm, int *processors);

/* The worst (numerically greatest) status of all ranks, the same on every rank.  The
 * lowest rank that holds it keeps its message; every other rank's message is cleared, so
 * exactly one rank prints.  Collective. */
pbt_status pbt_comm_agree(struct pbt_comm *comm, pbt_status mine);

/* Are these bytes the same on every rank?  Collective.  *same is equal everywhere. */
pbt_status pbt_comm_same(struct pbt_comm *comm, const void *data, size_t bytes,
                         bool *same);

/* Rank 0's status, then its bytes.  Every rank returns rank 0's status; only rank 0 keeps
 * the message.  On the other ranks *data is counted memory that the caller frees (one NUL
 * follows the bytes).  Collective. */
pbt_status pbt_comm_share(struct pbt_comm *comm, pbt_status status, char **data,
                          size_t *bytes);
/* A fixed-size block from rank 0.  Collective. */
pbt_status pbt_comm_broadcast(struct pbt_comm *comm, void *data, size_t bytes);

/* Items are dealt to ranks in blocks whose sizes differ by at most one: rank r of `size`
 * owns items begin .. end - 1.  Pure. */
void pbt_block(int64_t n_items, int size, int rank, int64_t *begin, int64_t *end);
int pbt_block_owner(int64_t n_items, int size, int64_t item);

/* Every rank brings its block's items; all get all n_items, in order.  `mine` may lie in
 * its own place of `all`.  Collective. */
pbt_status pbt_comm_allgather(struct pbt_comm *comm, const void *mine, size_t item_bytes,
                              int64_t n_items, void *all);
/* Likewise, but only rank 0 gets them (all may be NULL elsewhere).  Collective, but only
 * rank 0 waits for the others; they wait at most for rank 0 to take their block. */
pbt_status pbt_comm_gather(struct pbt_comm *comm, const void *mine, size_t item_bytes,
                           int64_t n_items, void *all);
pbt_status pbt_comm_barrier(struct pbt_comm *comm);

/* What a rank does with a cast's bytes part by part, while other parts travel: rank[0]
 * puts a part into `data` before it is sent, the others take it from there once it has
 * come.  Every byte is in one part, and the parts come in order. */
struct pbt_cast_part {
  pbt_status (*handle)(void *context, size_t offset, size_t bytes);
  void *context;
};
/* One rank's bytes to several others along a binomial tree, in chunks below 2^31 bytes.
 * rank[0] has the bytes in `data`, rank[1..n-1] (all different) get them there; `part`
 * NULL: there is nothing to do with them on this rank.  Called by exactly the ranks
 * listed, with the same list; all casts of an exchange are called in the same order by
 * all who take part. */
pbt_status pbt_comm_cast(struct pbt_comm *comm, const int rank[], int n, void *data,
                         size_t bytes, const struct pbt_cast_part *part);

/* PBT_OK if MPI says that messages may lie in a GPU's memory, else PBT_ERR_UNAVAILABLE.
 * Local. */
pbt_status pbt_comm_device_memory(void);

/* Memory that the ranks of a node share.  Where they cannot, each rank gets a private
 * copy and rank 0 warns.  `fill` is true on the ranks that must fill it; after filling,
 * all call pbt_comm_node_ready.  Freed by close.  Collective, agrees. */
struct pbt_node_memory {
  void *data;
  size_t bytes;
  bool fill;
  bool shared;
};
pbt_status pbt_comm_node_memory(struct pbt_comm *comm, size_t bytes,
                                struct pbt_node_memory *memory);
/* Waits until the node's copy is filled; from then on it is read-only.  Collective. */
pbt_status pbt_comm_node_ready(struct pbt_comm *comm, struct pbt_node_memory *memory);

/* Stopping early.  A rank that was told to stop calls pbt_comm_stop_ask (Local, once is
 * enough, sends a short message to every other rank); between slices of training every
 * rank calls pbt_comm_stop_asked (Local).  When all have met in the next allgather and
 * decided, pbt_comm_stop_settle takes the messages still under way (Collective); then all
 * is as if nobody had asked. */
pbt_status pbt_comm_stop_ask(struct pbt_comm *comm);
pbt_status pbt_comm_stop_asked(struct pbt_comm *comm, bool *asked);
pbt_status pbt_comm_stop_settle(struct pbt_comm *comm);

/* Prints the recorded message and ends every rank with this status' code.  For failures
 * that the other ranks cannot know of.  Local; does not return.  Also before open. */
_Noreturn void pbt_comm_die(pbt_status status);

#endif
