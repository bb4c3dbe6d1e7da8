#include "backend/cuda/graph.h"

#include <stddef.h>

struct cuda_graph *cuda_graph_take(struct cuda_graphs *graphs, uint64_t key,
                                   const void *body, const void *context,
                                   void **dropped) {
  struct cuda_graph *oldest = &graphs->graph[0];
  *dropped = NULL;
  graphs->clock++;
  for (int i = 0; i < CUDA_GRAPHS; i++) {
    struct cuda_graph *graph = &graphs->graph[i];
    if (graph->key == key && graph->body == body && graph->context == context) {
      graph->used = graphs->clock;
      return graph;
    }
    if (graph->used < oldest->used) {
      oldest = graph;
    }
  }
  *dropped = oldest->exec;
  *oldest = (struct cuda_graph){
      .key = key, .body = body, .context = context, .used = graphs->clock};
  return oldest;
}
