/*
 * graph.h - which step is recorded where.  Pure bookkeeping: no CUDA, so that it is
 * tested without.
 *
 * A step is known by the key that its caller gives, and by the function and its context:
 * networks that share a backend use the same keys.  When all places are taken the one
 * that was not used for longest is given up.
 */
#ifndef PBT_BACKEND_CUDA_GRAPH_H
#define PBT_BACKEND_CUDA_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

enum { CUDA_GRAPHS = 16 };

struct cuda_graph {
  uint64_t key; // 0: free
  const void *body, *context;
  uint64_t used; // when last; larger is later
  bool ready;    // has run once as it is
  void *exec;    // NULL: not recorded yet
};

struct cuda_graphs {
  struct cuda_graph graph[CUDA_GRAPHS];
  uint64_t clock;
};

/* The place of this step.  What it held of another step is in *dropped (NULL: nothing),
 * for the caller to destroy. */
struct cuda_graph *cuda_graph_take(struct cuda_graphs *graphs, uint64_t key,
                                   const void *body, const void *context, void **dropped);

#endif
