/*
 * From a layer list to shapes and tensors.
 *
 * An activation carries the halo of zeros that the layer which *reads* it wants: the pad
 * of a convolution, nothing for a dense layer.  So padding costs no code at run time, and
 * the writer of an activation only has to leave the halo alone.
 */
#include "net/plan.h"

#include "base/text.h" // pbt_text_add

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static pbt_status no_fit(const struct pbt_net_spec *spec, int32_t i, const char *why) {
  return pbt_fail(
      PBT_ERR_DATA, "network %s does not fit images of %d x %d x %d: layer %s: %s",
      spec->name, spec->in.c, spec->in.h, spec->in.w, spec->layer[i].name, why);
}

static int32_t halo_read_by(const struct pbt_net_spec *spec, int32_t i) {
  return i < spec->n_layer && spec->layer[i].kind == PBT_LAYER_CONV ? spec->layer[i].pad
                                                                    : 0;
}

static int32_t side_after(int32_t side, const struct pbt_net_layer *layer) {
  int32_t room = side + 2 * layer->pad - layer->kernel;
  int32_t out = room < 0 ? 0 : room / layer->stride + 1;
  return layer->pool > 0 ? out / layer->pool : out;
}

static pbt_status plan_layer(const struct pbt_net_spec *spec, int32_t i,
                             struct pbt_shape in, struct pbt_net_plan *plan) {
  const struct pbt_net_layer *layer = &spec->layer[i];
  struct pbt_layer_desc *desc = &plan->layer[i];
  *desc = (struct pbt_layer_desc){
      .kind = layer->kind, .in = in, .pool = layer->pool, .relu = layer->relu};
  desc->out = (struct pbt_shape){layer->out, 1, 1, halo_read_by(spec, i + 1)};
  if (layer->out < 1) {
    return no_fit(spec, i, "it has no outputs");
  }
  if (layer->kind == PBT_LAYER_CONV) {
    if (layer->kernel < 1 || layer->stride < 1 || layer->pad < 0) {
      return no_fit(spec, i, "its kernel and stride must be at least 1");
    }
    desc->kernel = layer->kernel;
    desc->stride = layer->stride;
    desc->pad = layer->pad;
    desc->out.h = side_after(in.h, layer);
    desc->out.w = side_after(in.w, layer);
    if (desc->out.h < 1 || desc->out.w < 1) {
      return no_fit(spec, i, "its kernel and pool are larger than its input");
    }
    plan->fan_in[i] = (int64_t)in.c * layer->kernel * layer->kernel;
  } else {
    plan->fan_in[i] = (int64_t)in.c * in.h * in.w;
  }
  plan->parameters += (plan->fan_in[i] + 1) * layer->out;
  int64_t pool = layer->pool > 0 ? layer->pool : 1;
  plan->multiply_adds +=
      plan->fan_in[i] * layer->out * desc->out.h * desc->out.w * pool * pool;
  return PBT_OK;
}

pbt_status pbt_net_plan(const struct pbt_net_spec *spec, struct pbt_net_plan *plan) {
  if (spec->n_layer < 1 || spec->n_layer > PBT_MAX_LAYERS) {
    return pbt_fail(PBT_ERR_DATA, "network %s has %d layers; it may have 1 to %d",
                    spec->name, spec->n_layer, PBT_MAX_LAYERS);
  }
  if (spec->n_class < 2 || spec->n_class > PBT_MAX_CLASSES) {
    return pbt_fail(PBT_ERR_DATA,
                    "network %s is to tell %d classes apart; it can do 2 to %d",
                    spec->name, spec->n_class, PBT_MAX_CLASSES);
  }
  *plan = (struct pbt_net_plan){.n_layer = spec->n_layer, .in = spec->in};
  plan->in.halo = halo_read_by(spec, 0);
  struct pbt_shape in = plan->in;
  for (int32_t i = 0; i < spec->n_layer; i++) {
    PBT_TRY(plan_layer(spec, i, in, plan));
    in = plan->layer[i].out;
  }
  if (in.c != spec->n_class || in.h != 1 || in.w != 1) {
    return no_fit(spec, spec->n_layer - 1, "its outputs are not one number a class");
  }
  return PBT_OK;
}

pbt_status pbt_net_count(const struct pbt_net_spec *spec, int64_t *parameters) {
  struct pbt_net_plan plan;
  PBT_TRY(pbt_net_plan(spec, &plan));
  *parameters = plan.parameters;
  return PBT_OK;
}

/* Weight and bias of every layer under `prefix`. */
static size_t add_parameters(const struct pbt_net_spec *spec,
                             const struct pbt_net_plan *plan, const char *prefix,
                             enum pbt_role role, struct pbt_tensor tensor[]) {
  for (int32_t i = 0; i < plan->n_layer; i++) {
    const struct pbt_layer_desc *desc = &plan->layer[i];
    struct pbt_tensor *weight = &tensor[2 * i], *bias = &tensor[2 * i + 1];
    *weight = (struct pbt_tensor){
        .role = role, .dtype = PBT_F32, .ndim = 2, .dim = {desc->out.c, plan->fan_in[i]}};
    if (desc->kind == PBT_LAYER_CONV) {
      weight->ndim = 4;
      weight->dim[1] = desc->in.c;
      weight->dim[2] = weight->dim[3] = desc->kernel;
    }
    *bias = (struct pbt_tensor){
        .role = role, .dtype = PBT_F32, .ndim = 1, .dim = {desc->out.c}};
    const char *name = spec->layer[i].name;
    snprintf(weight->name, sizeof weight->name, "%s%s/weight", prefix, name);
    snprintf(bias->name, sizeof bias->name, "%s%s/bias", prefix, name);
  }
  return 2 * (size_t)plan->n_layer;
}

size_t pbt_net_tensors(const struct pbt_net_spec *spec, const struct pbt_net_plan *plan,
                       struct pbt_tensor tensor[]) {
  size_t n = add_parameters(spec, plan, "", PBT_ROLE_WEIGHT, tensor);
  n += add_parameters(spec, plan, "sgd/velocity/", PBT_ROLE_OPTIMIZER, tensor + n);
  tensor[n++] =
      (struct pbt_tensor){.name = "step", .role = PBT_ROLE_LOCAL, .dtype = PBT_I64};
  return n;
}
