/* Layers by kind: a plan at open, a few parallel regions at each call. */
#include <stdio.h>

#include "backend/cpu/cpu.h"
#include "base/memory.h" // counted memory

struct pbt_layer {
  enum pbt_layer_kind kind;
  int32_t max_batch;
  union {
    struct cpu_conv conv;
    struct cpu_dense dense;
  };
  char description[96];
};

static void describe(struct pbt_layer *layer, const char *isa) {
  if (layer->kind == PBT_LAYER_DENSE) {
    snprintf(layer->description, sizeof layer->description, "dense %d %s tiled%s",
             layer->dense.out, isa, layer->dense.relu ? ", fused relu" : "");
    return;
  }
  const struct cpu_conv *conv = &layer->conv;
  snprintf(layer->description, sizeof layer->description, "conv %d@%dx%d %s %s%s%s",
           conv->oc, conv->k, conv->k, isa, conv->tiled ? "tiled" : "plain",
           conv->relu ? ", fused relu" : "", conv->pool > 0 ? ", fused pool" : "");
}

pbt_status pbt_cpu_layer_open(struct pbt_backend *backend,
                              const struct pbt_layer_desc *desc, int32_t max_batch,
                              struct pbt_layer **layer) {
  *layer = NULL;
  if (max_batch < 1) {
    return PBT_BUG("a layer for a batch of no samples");
  }
  if (desc->kind != PBT_LAYER_CONV && desc->kind != PBT_LAYER_DENSE) {
    return PBT_BUG("a layer that the CPU backend does not have");
  }
  struct pbt_layer *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  made->kind = desc->kind;
  made->max_batch = max_batch;
  pbt_status status =
      desc->kind == PBT_LAYER_CONV
          ? pbt_cpu_conv_open(cpu_of(backend), desc, max_batch, &made->conv)
          : pbt_cpu_dense_open(desc, max_batch, &made->dense);
  if (status != PBT_OK) {
    pbt_cpu_layer_close(backend, made);
    return status;
  }
  describe(made, cpu_of(backend)->kernels->name);
  *layer = made;
  return PBT_OK;
}

void pbt_cpu_layer_close(struct pbt_backend *backend, struct pbt_layer *layer) {
  (void)backend;
  if (layer == NULL) {
    return;
  }
  if (layer->kind == PBT_LAYER_CONV) {
    pbt_cpu_conv_close(&layer->conv);
  } else {
    pbt_cpu_dense_close(&layer->dense);
  }
  pbt_mem_free(layer);
}

static pbt_status check_batch(const struct pbt_layer *layer,
                              const struct pbt_layer_io *io) {
  if (io->n < 1 || io->n > layer->max_batch) {
    return PBT_BUG("a batch larger than its layer was opened for");
  }
  return PBT_OK;
}

pbt_status pbt_cpu_forward(struct pbt_backend *backend, struct pbt_layer *layer,
                           const struct pbt_layer_io *io) {
  PBT_TRY(check_batch(layer, io));
  if (layer->kind == PBT_LAYER_CONV) {
    pbt_cpu_conv_forward(cpu_of(backend), &layer->conv, io);
  } else {
    pbt_cpu_dense_forward(cpu_of(backend), &layer->dense, io);
  }
  return PBT_OK;
}

pbt_status pbt_cpu_backward(struct pbt_backend *backend, struct pbt_layer *layer,
                            const struct pbt_layer_io *io) {
  PBT_TRY(check_batch(layer, io));
  if (layer->kind == PBT_LAYER_CONV) {
    pbt_cpu_conv_backward(cpu_of(backend), &layer->conv, io);
  } else {
    pbt_cpu_dense_backward(cpu_of(backend), &layer->dense, io);
  }
  return PBT_OK;
}

const char *pbt_cpu_layer_describe(const struct pbt_layer *layer) {
  return layer->description;
}
