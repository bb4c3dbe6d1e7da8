/*
 * plan.h - a spec with its shapes worked out.  Private to src/net.  Pure.
 */
#ifndef PBT_NET_PLAN_H
#define PBT_NET_PLAN_H

#include "net/net.h" // struct pbt_net_spec

/* Tensors of a network: weight and bias of each layer, the same of velocities, step. */
enum { PBT_NET_MAX_TENSORS = 4 * PBT_MAX_LAYERS + 1 };

struct pbt_net_plan {
  int32_t n_layer;
  struct pbt_shape in; // of the first layer, with the halo it reads
  struct pbt_layer_desc layer[PBT_MAX_LAYERS];
  int64_t fan_in[PBT_MAX_LAYERS];
  int64_t parameters;
  int64_t multiply_adds; // of one sample's forward pass, whole pools only
};

/* Shapes of every layer; PBT_ERR_DATA where they do not fit. */
pbt_status pbt_net_plan(const struct pbt_net_spec *spec, struct pbt_net_plan *plan);

/* The tensors in the order of their roles, into tensor[PBT_NET_MAX_TENSORS]: layer i has
 * its weight at 2i, its bias at 2i + 1, and their velocities 2 n_layer further on. */
size_t pbt_net_tensors(const struct pbt_net_spec *spec, const struct pbt_net_plan *plan,
                       struct pbt_tensor tensor[]);

#endif
