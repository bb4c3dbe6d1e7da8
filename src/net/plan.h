/*
 * plan.h - a spec with its shapes worked out.  Private to src/net.  Pure.
 *
 * Values are numbered: 0 is the network's input, k + 1 what layer k writes.
 */
#ifndef PBT_NET_PLAN_H
#define PBT_NET_PLAN_H

#include "net/net.h" // struct pbt_net_spec

/* Of each layer weight and bias, each with two moments, mean and variance; then
 * adam/weight_sum and step. */
enum { PBT_NET_MAX_TENSORS = 8 * PBT_MAX_LAYERS + 2 };

struct pbt_net_plan {
  int32_t n_layer;
  struct pbt_shape in; // of the first layer, with the halo it reads
  struct pbt_layer_desc layer[PBT_MAX_LAYERS];
  int64_t fan_in[PBT_MAX_LAYERS]; // CONV, DENSE; else 0
  bool bias[PBT_MAX_LAYERS];      // the layer has one
  int64_t parameters;
  int64_t multiply_adds; // of one sample's forward pass, whole pools only

  int32_t skip[PBT_MAX_LAYERS]; // the value that a layer adds; -1 none
  /* Gradients of values: the first writer in backward order overwrites, others add. */
  bool add_dx[PBT_MAX_LAYERS], add_dskip[PBT_MAX_LAYERS];
  /* Where they lie: values whose gradients are never needed at the same time share. */
  int32_t slope[PBT_MAX_LAYERS + 1]; // -1: of the input, none
  int32_t n_slope;
  struct pbt_shape slope_shape[PBT_MAX_LAYERS];
};

/* PBT_ERR_DATA where layers do not fit together. */
pbt_status pbt_net_plan(const struct pbt_net_spec *spec, struct pbt_net_plan *plan);

/* Fills add_dx, add_dskip, slope, n_slope and slope_shape from the rest (slopes.c). */
void pbt_net_plan_slopes(struct pbt_net_plan *plan);

struct pbt_shape pbt_net_value_shape(const struct pbt_net_plan *plan, int32_t value);

/* Parameters of layer i. */
int64_t pbt_net_layer_parameters(const struct pbt_net_plan *plan, int32_t i);

/* Positions of a layer's tensors, -1 where it has none. */
struct pbt_net_place {
  int32_t weight, bias, mean, variance;
};

/* The tensors in the order of their roles (state.c), into tensor[PBT_NET_MAX_TENSORS] and
 * place[n_layer]; returns how many.  The moments repeat the layout of the weights. */
size_t pbt_net_tensors(const struct pbt_net_spec *spec, const struct pbt_net_plan *plan,
                       enum pbt_optimizer optimizer, struct pbt_tensor tensor[],
                       struct pbt_net_place place[]);

#endif
