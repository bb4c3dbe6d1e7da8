/*
 * From a layer list to shapes.
 *
 * An activation carries the halo of zeros that the layer which *reads* it wants: the pad
 * of a convolution, nothing for other layers.  So padding costs no code at run time, and
 * the writer of an activation only has to leave the halo alone.
 */
#include "net/plan.h"

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

static int32_t side_after(int32_t side, const struct pbt_layer_desc *desc) {
  int32_t room = side + 2 * desc->pad - desc->kernel;
  int32_t out = room < 0 ? 0 : room / desc->stride + 1;
  return desc->pool > 0 ? out / desc->pool : out;
}

static pbt_status plan_window(const struct pbt_net_spec *spec, int32_t i,
                              struct pbt_layer_desc *desc) {
  const struct pbt_net_layer *layer = &spec->layer[i];
  desc->kernel = layer->kernel;
  desc->stride = layer->stride;
  desc->pad = layer->pad;
  desc->pool = layer->pool;
  if (layer->kind == PBT_LAYER_POOL && layer->kernel == 0) {
    if (desc->in.h != desc->in.w) {
      return no_fit(spec, i, "`all` needs images that are as wide as they are high");
    }
    desc->kernel = desc->stride = desc->in.h;
  }
  if (desc->kernel < 1 || desc->stride < 1 || desc->pad < 0) {
    return no_fit(spec, i, "its kernel and stride must be at least 1");
  }
  desc->out.h = side_after(desc->in.h, desc);
  desc->out.w = side_after(desc->in.w, desc);
  if (desc->out.h < 1 || desc->out.w < 1) {
    return no_fit(spec, i, "its kernel and pool are larger than its input");
  }
  return PBT_OK;
}

/* The value that layer i adds: an earlier layer's, not the one it reads anyway. */
static pbt_status find_skip(const struct pbt_net_spec *spec, int32_t i, int32_t *value) {
  *value = -1;
  const char *name = spec->layer[i].skip;
  if (name[0] == '\0') {
    return spec->layer[i].kind == PBT_LAYER_ADD ? no_fit(spec, i, "it adds nothing")
                                                : PBT_OK;
  }
  for (int32_t k = 0; k + 1 < i; k++) {
    if (strcmp(spec->layer[k].name, name) == 0) {
      *value = k + 1;
      return PBT_OK;
    }
  }
  return pbt_fail(PBT_ERR_DATA,
                  "network %s: layer %s adds \"%s\", which is no layer above the one "
                  "that it reads",
                  spec->name, spec->layer[i].name, name);
}

static pbt_status plan_skip(const struct pbt_net_spec *spec, int32_t i,
                            struct pbt_net_plan *plan) {
  struct pbt_layer_desc *desc = &plan->layer[i];
  PBT_TRY(find_skip(spec, i, &plan->skip[i]));
  if (plan->skip[i] < 0) {
    return PBT_OK;
  }
  struct pbt_shape skip = pbt_net_value_shape(plan, plan->skip[i]), out = desc->out;
  int32_t times = skip.h / out.h;
  if (times < 1 || skip.h != times * out.h || skip.w != times * out.w || skip.c > out.c ||
      (times == 1 && skip.c != out.c)) {
    return pbt_fail(PBT_ERR_DATA,
                    "network %s: layer %s adds %s, of %d x %d x %d, to %d x %d x %d: "
                    "shapes must be equal, or whole times as high and wide with no more "
                    "channels",
                    spec->name, spec->layer[i].name, spec->layer[i].skip, skip.c, skip.h,
                    skip.w, out.c, out.h, out.w);
  }
  desc->skip = skip;
  return PBT_OK;
}

static int64_t square(int64_t a) {
  return a * a;
}

static pbt_status plan_layer(const struct pbt_net_spec *spec, int32_t i,
                             struct pbt_shape in, struct pbt_net_plan *plan) {
  const struct pbt_net_layer *layer = &spec->layer[i];
  struct pbt_layer_desc *desc = &plan->layer[i];
  *desc = (struct pbt_layer_desc){
      .kind = layer->kind, .in = in, .out = in, .relu = layer->relu, .mean = layer->mean};
  desc->out.halo = halo_read_by(spec, i + 1);
  plan->skip[i] = -1;
  bool weighs = layer->kind == PBT_LAYER_CONV || layer->kind == PBT_LAYER_DENSE;
  if (weighs && layer->out < 1) {
    return no_fit(spec, i, "it has no outputs");
  }
  switch (layer->kind) {
  case PBT_LAYER_CONV:
    desc->out.c = layer->out;
    PBT_TRY(plan_window(spec, i, desc));
    plan->fan_in[i] = (int64_t)in.c * square(layer->kernel);
    plan->bias[i] = i + 1 == spec->n_layer || spec->layer[i + 1].kind != PBT_LAYER_NORM;
    break;
  case PBT_LAYER_DENSE:
    desc->out = (struct pbt_shape){layer->out, 1, 1, desc->out.halo};
    plan->fan_in[i] = (int64_t)in.c * in.h * in.w;
    plan->bias[i] = true;
    break;
  case PBT_LAYER_NORM:
    plan->bias[i] = true;
    PBT_TRY(plan_skip(spec, i, plan));
    break;
  case PBT_LAYER_ADD:
    PBT_TRY(plan_skip(spec, i, plan));
    break;
  case PBT_LAYER_POOL:
    PBT_TRY(plan_window(spec, i, desc));
    break;
  case PBT_LAYER_DROPOUT:
    for (int32_t k = 0; k < i; k++) {
      desc->stream += spec->layer[k].kind == PBT_LAYER_DROPOUT;
    }
    break;
  case PBT_LAYER_KINDS:
    return PBT_BUG("a layer of no kind");
  }
  plan->parameters += pbt_net_layer_parameters(plan, i);
  plan->multiply_adds += plan->fan_in[i] * desc->out.c * desc->out.h * desc->out.w *
                         square(desc->pool > 0 ? desc->pool : 1);
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
  pbt_net_plan_slopes(plan);
  return PBT_OK;
}

struct pbt_shape pbt_net_value_shape(const struct pbt_net_plan *plan, int32_t value) {
  return value == 0 ? plan->in : plan->layer[value - 1].out;
}

int64_t pbt_net_layer_parameters(const struct pbt_net_plan *plan, int32_t i) {
  const struct pbt_layer_desc *desc = &plan->layer[i];
  int64_t weights =
      desc->kind == PBT_LAYER_NORM ? desc->in.c : plan->fan_in[i] * desc->out.c;
  return weights + (plan->bias[i] ? desc->out.c : 0);
}

pbt_status pbt_net_count(const struct pbt_net_spec *spec, int64_t *parameters) {
  struct pbt_net_plan plan;
  PBT_TRY(pbt_net_plan(spec, &plan));
  *parameters = plan.parameters;
  return PBT_OK;
}
