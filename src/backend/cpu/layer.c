/* Layers by kind: a plan at open, a few parallel regions at each call. */
#include "backend/cpu/cpu.h"
#include "base/memory.h" // counted memory

static const struct cpu_layer_kind *const kind_list[PBT_LAYER_KINDS] = {
    [PBT_LAYER_CONV] = &pbt_cpu_conv, [PBT_LAYER_DENSE] = &pbt_cpu_dense,
    [PBT_LAYER_NORM] = &pbt_cpu_norm, [PBT_LAYER_ADD] = &pbt_cpu_norm,
    [PBT_LAYER_POOL] = &pbt_cpu_pool, [PBT_LAYER_DROPOUT] = &pbt_cpu_dropout,
};

pbt_status pbt_cpu_layer_open(struct pbt_backend *backend,
                              const struct pbt_layer_desc *desc, int32_t max_batch,
                              struct pbt_layer **layer) {
  *layer = NULL;
  if (max_batch < 1 || desc->kind < 0 || desc->kind >= PBT_LAYER_KINDS) {
    return PBT_BUG("a layer of no kind, or for a batch of no samples");
  }
  struct pbt_layer *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  made->kind = kind_list[desc->kind];
  made->max_batch = max_batch;
  pbt_status status = made->kind->open(cpu_of(backend), desc, made);
  if (status != PBT_OK) {
    pbt_cpu_layer_close(backend, made);
    return status;
  }
  *layer = made;
  return PBT_OK;
}

void pbt_cpu_layer_close(struct pbt_backend *backend, struct pbt_layer *layer) {
  (void)backend;
  if (layer != NULL && layer->kind->close != NULL) {
    layer->kind->close(layer);
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
  layer->kind->forward(cpu_of(backend), layer, io);
  return PBT_OK;
}

pbt_status pbt_cpu_backward(struct pbt_backend *backend, struct pbt_layer *layer,
                            const struct pbt_layer_io *io) {
  PBT_TRY(check_batch(layer, io));
  layer->kind->backward(cpu_of(backend), layer, io);
  return PBT_OK;
}

const char *pbt_cpu_layer_describe(const struct pbt_layer *layer) {
  return layer->description;
}
