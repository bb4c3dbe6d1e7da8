/* internal.h - what net.c, step.c and print.c know of an open network.  Private to
 * src/net. */
#ifndef PBT_NET_INTERNAL_H
#define PBT_NET_INTERNAL_H

#include "net/plan.h" // struct pbt_net_plan

/* One piece of backend memory. */
struct pbt_net_block {
  void *memory;
  size_t bytes;
};

struct pbt_net {
  struct pbt_backend *backend;
  struct pbt_net_spec spec;
  struct pbt_net_plan plan;
  struct pbt_tensor tensor[PBT_NET_MAX_TENSORS];
  struct pbt_net_place place[PBT_MAX_LAYERS]; // of each layer's tensors
  const struct pbt_tensor *weight_sum;        // ADAM's, else NULL
  struct pbt_state state;
  struct pbt_net_options options; // without the class weights
  size_t bytes;                   // of all backend memory below
  struct pbt_hyper hyper;
  uint64_t seed; // with member: whose random streams
  uint32_t member;
  struct pbt_batch batch; // of the slice in progress, or of the scoring
  struct pbt_layer *layer[PBT_MAX_LAYERS];

  /* Backend memory, all of it. */
  struct pbt_net_block arena;                     // the state's image
  struct pbt_net_block gradient;                  // laid out as the arena's weights
  struct pbt_net_block label;                     // (max_batch) int32
  struct pbt_net_block step;                      // struct pbt_step
  struct pbt_net_block tally;                     // struct pbt_tally
  struct pbt_net_block class_weight;              // (n_class), or no memory
  struct pbt_net_block value[PBT_MAX_LAYERS + 1]; // as plan.h numbers them
  struct pbt_net_block slope[PBT_MAX_LAYERS];     // as plan.slope says
};

/* What lies at an offset; NULL where there is no memory. */
static inline void *pbt_net_at(const struct pbt_net_block *block, size_t offset) {
  return block->memory != NULL ? (uint8_t *)block->memory + offset : NULL;
}

static inline const struct pbt_tensor *pbt_net_step_tensor(const struct pbt_net *net) {
  return &net->tensor[net->state.n - 1];
}

#endif
