/* A network as a table that a person can read. */
#include "net/internal.h"

#include "base/text.h" // pbt_text_add

#include <inttypes.h>
#include <stdio.h>

enum { CELL = 64 };

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
  char shape[CELL];
  describe_shape(spec->in, shape);
  pbt_text_add(text, "%-10s %-34s %-14s %10s%s\n", "layer", "what it does", "output",
               "parameters", net != NULL ? "  path" : "");
  pbt_text_add(text, "%-10s %-34s %-14s %10s\n", "input", "", shape, "");
  for (int32_t i = 0; i < plan.n_layer; i++) {
    const struct pbt_layer_desc *desc = &plan.layer[i];
    struct pbt_text words = {0};
    pbt_net_layer_words(spec, i, &words);
    PBT_TRY(words.status);
    describe_shape(desc->out, shape);
    pbt_text_add(text, "%-10s %-34s %-14s %10" PRId64, spec->layer[i].name, words.data,
                 shape, pbt_net_layer_parameters(&plan, i));
    pbt_text_free(&words);
    if (net != NULL) {
      pbt_text_add(text, "  %s", net->backend->ops->layer_describe(net->layer[i]));
    }
    pbt_text_add(text, "\n");
  }
  pbt_text_add(text, "%-10s %-34s %-14s %10" PRId64 "\n", spec->name, "", "",
               plan.parameters);
  return text->status;
}
