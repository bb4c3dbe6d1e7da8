/* The networks that a job can name, as layer lists. */
#include "net/net.h"

#include <stdio.h>
#include <string.h>

static pbt_status take_layers(const char *name, struct pbt_shape in, int32_t n_class,
                              const struct pbt_net_layer layer[], int32_t n_layer,
                              struct pbt_net_spec *spec) {
  *spec = (struct pbt_net_spec){.in = in, .n_class = n_class, .n_layer = n_layer};
  snprintf(spec->name, sizeof spec->name, "%s", name);
  memcpy(spec->layer, layer, (size_t)n_layer * sizeof *layer);
  int64_t parameters;
  return pbt_net_count(spec, &parameters);
}

pbt_status pbt_net_lenet5(struct pbt_shape in, int32_t n_class,
                          struct pbt_net_spec *spec) {
  const struct pbt_net_layer layer[] = {
      {PBT_LAYER_CONV, "conv1", .out = 6, .kernel = 5, .stride = 1, .pad = 2, .pool = 2,
       .relu = true},
      {PBT_LAYER_CONV, "conv2", .out = 16, .kernel = 5, .stride = 1, .pool = 2,
       .relu = true},
      {PBT_LAYER_DENSE, "dense1", .out = 120, .relu = true},
      {PBT_LAYER_DENSE, "dense2", .out = 84, .relu = true},
      {PBT_LAYER_DENSE, "output", .out = n_class}};
  return take_layers("lenet5", in, n_class, layer, sizeof layer / sizeof *layer, spec);
}

pbt_status pbt_net_mlp(struct pbt_shape in, int32_t n_class, const int32_t hidden[],
                       int32_t n_hidden, struct pbt_net_spec *spec) {
  if (n_hidden < 0 || n_hidden >= PBT_MAX_LAYERS) {
    return pbt_fail(PBT_ERR_DATA, "a mlp of %d hidden layers; it may have 0 to %d",
                    n_hidden, PBT_MAX_LAYERS - 1);
  }
  struct pbt_net_layer layer[PBT_MAX_LAYERS];
  for (int32_t i = 0; i < n_hidden; i++) {
    layer[i] = (struct pbt_net_layer){PBT_LAYER_DENSE, .out = hidden[i], .relu = true};
    snprintf(layer[i].name, sizeof layer[i].name, "dense%d", i + 1);
  }
  layer[n_hidden] = (struct pbt_net_layer){PBT_LAYER_DENSE, "output", .out = n_class};
  return take_layers("mlp", in, n_class, layer, n_hidden + 1, spec);
}
