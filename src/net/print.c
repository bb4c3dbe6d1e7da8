/* A network as a table that a person can read. */
#include "net/internal.h"

#include "base/text.h" // pbt_text_add

#include <inttypes.h>
#include <stdio.h>

enum { CELL = 64 };

/* "conv 6@5x5 pad 2, relu, pool 2" */
static void describe_layer(const struct pbt_layer_desc *desc, char cell[CELL]) {
  char stride[24] = "", pad[24] = "", pool[24] = "";
  const char *relu = desc->relu ? ", relu" : "";
  if (desc->kind == PBT_LAYER_DENSE) {
    snprintf(cell, CELL, "dense %d%s", desc->out.c, relu);
    return;
  }
  if (desc->stride > 1) {
    snprintf(stride, sizeof stride, " stride %d", desc->stride);
  }
  if (desc->pad > 0) {
    snprintf(pad, sizeof pad, " pad %d", desc->pad);
  }
  if (desc->pool > 0) {
    snprintf(pool, sizeof pool, ", pool %d", desc->pool);
  }
  snprintf(cell, CELL, "conv %d@%dx%d%s%s%s%s", desc->out.c, desc->kernel, desc->kernel,
           stride, pad, relu, pool);
}

static void describe_shape(struct pbt_shape shape, char cell[CELL]) {
  if (shape.h == 1 && shape.w == 1) {
    snprintf(cell, CELL, "%d", shape.c);
  } else {
    snprintf(cell, CELL, "%d x %d x %d", shape.c, shape.h, shape.w);
  }
}

pbt_status pbt_net_print(const struct pbt_net_spec *spec, const struct pbt_net *net,
                         struct pbt_text *text) {
  struct pbt_net_plan plan;
  PBT_TRY(pbt_net_plan(spec, &plan));
  char shape[CELL], layer[CELL];
  describe_shape(spec->in, shape);
  pbt_text_add(text, "%-10s %-34s %-14s %10s%s\n", "layer", "what it does", "output",
               "parameters", net != NULL ? "  path" : "");
  pbt_text_add(text, "%-10s %-34s %-14s %10s\n", "input", "", shape, "");
  for (int32_t i = 0; i < plan.n_layer; i++) {
    const struct pbt_layer_desc *desc = &plan.layer[i];
    describe_layer(desc, layer);
    describe_shape(desc->out, shape);
    pbt_text_add(text, "%-10s %-34s %-14s %10" PRId64, spec->layer[i].name, layer, shape,
                 (plan.fan_in[i] + 1) * desc->out.c);
    if (net != NULL) {
      pbt_text_add(text, "  %s", net->backend->ops->layer_describe(net->layer[i]));
    }
    pbt_text_add(text, "\n");
  }
  pbt_text_add(text, "%-10s %-34s %-14s %10" PRId64 "\n", spec->name, "", "",
               plan.parameters);
  return text->status;
}
