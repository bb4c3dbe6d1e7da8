/* A network's state: which tensors it has, and in which order. */
#include "net/plan.h"

#include <stdio.h>

struct list {
  struct pbt_tensor *tensor;
  int32_t n;
};

/* Returns its position. */
static int32_t add(struct list *list, const struct pbt_tensor *like, const char *prefix,
                   const char *layer, const char *part) {
  struct pbt_tensor *tensor = &list->tensor[list->n];
  *tensor = *like;
  snprintf(tensor->name, sizeof tensor->name, "%s%s/%s", prefix, layer, part);
  return list->n++;
}

/* Weight and bias of every layer under `prefix`. */
static void add_parameters(struct list *list, const struct pbt_net_spec *spec,
                           const struct pbt_net_plan *plan, const char *prefix,
                           enum pbt_role role, struct pbt_net_place place[]) {
  for (int32_t i = 0; i < plan->n_layer; i++) {
    const struct pbt_layer_desc *desc = &plan->layer[i];
    const char *name = spec->layer[i].name;
    struct pbt_tensor vector = {
        .role = role, .dtype = PBT_F32, .ndim = 1, .dim = {desc->out.c}};
    struct pbt_tensor weight = vector;
    if (desc->kind == PBT_LAYER_DENSE) {
      weight.ndim = 2;
      weight.dim[1] = plan->fan_in[i];
    } else if (desc->kind == PBT_LAYER_CONV) {
      weight.ndim = 4;
      weight.dim[1] = desc->in.c;
      weight.dim[2] = weight.dim[3] = desc->kernel;
    }
    bool weighs = pbt_net_layer_parameters(plan, i) > 0;
    place[i].weight = weighs ? add(list, &weight, prefix, name, "weight") : -1;
    place[i].bias = plan->bias[i] ? add(list, &vector, prefix, name, "bias") : -1;
  }
}

static void add_buffers(struct list *list, const struct pbt_net_spec *spec,
                        const struct pbt_net_plan *plan, struct pbt_net_place place[]) {
  for (int32_t i = 0; i < plan->n_layer; i++) {
    const char *name = spec->layer[i].name;
    const struct pbt_tensor vector = {.role = PBT_ROLE_BUFFER,
                                      .dtype = PBT_F32,
                                      .ndim = 1,
                                      .dim = {plan->layer[i].in.c}};
    bool keeps = plan->layer[i].kind == PBT_LAYER_NORM;
    place[i].mean = keeps ? add(list, &vector, "", name, "mean") : -1;
    place[i].variance = keeps ? add(list, &vector, "", name, "variance") : -1;
  }
}

static const char *const moment[PBT_OPTIMIZERS][2] = {
    [PBT_SGD] = {"sgd/velocity/"},
    [PBT_RMSPROP] = {"rmsprop/v/", "rmsprop/s/"},
    [PBT_ADAM] = {"adam/m/", "adam/s/"}};

size_t pbt_net_tensors(const struct pbt_net_spec *spec, const struct pbt_net_plan *plan,
                       enum pbt_optimizer optimizer, struct pbt_tensor tensor[],
                       struct pbt_net_place place[]) {
  struct list list = {tensor, 0};
  struct pbt_net_place unused[PBT_MAX_LAYERS];
  add_parameters(&list, spec, plan, "", PBT_ROLE_WEIGHT, place);
  for (int k = 0; k < 2 && moment[optimizer][k] != NULL; k++) {
    add_parameters(&list, spec, plan, moment[optimizer][k], PBT_ROLE_OPTIMIZER, unused);
  }
  if (optimizer == PBT_ADAM) {
    tensor[list.n++] = (struct pbt_tensor){.name = "adam/weight_sum",
                                           .role = PBT_ROLE_OPTIMIZER,
                                           .dtype = PBT_F64,
                                           .ndim = 1,
                                           .dim = {2}};
  }
  add_buffers(&list, spec, plan, place);
  tensor[list.n++] =
      (struct pbt_tensor){.name = "step", .role = PBT_ROLE_LOCAL, .dtype = PBT_I64};
  return (size_t)list.n;
}
