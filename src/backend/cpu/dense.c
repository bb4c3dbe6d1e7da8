#include <stdio.h>

#include "backend/cpu/cpu.h"
#include "base/memory.h" // counted memory

static pbt_status open_dense(struct cpu_backend *cpu, const struct pbt_layer_desc *desc,
                             struct pbt_layer *layer) {
  struct cpu_dense *dense = &layer->dense;
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  if (in->halo != 0 || out->halo != 0 || out->h != 1 || out->w != 1 || in->c < 1 ||
      in->h < 1 || in->w < 1 || out->c < 1) {
    return PBT_BUG("a dense layer with a halo or an output plane");
  }
  *dense =
      (struct cpu_dense){.in = in->c * in->h * in->w, .out = out->c, .relu = desc->relu};
  /* Whole tiles of columns, so that the last one needs no case of its own. */
  enum { COLUMNS = 64 };
  dense->in_padded = (dense->in + COLUMNS - 1) / COLUMNS * COLUMNS;
  snprintf(layer->description, sizeof layer->description, "dense %d %s tiled%s",
           dense->out, cpu->kernels->name, dense->relu ? ", fused relu" : "");
  return PBT_NEW((int64_t)cpu_blocks(layer->max_batch) * CPU_LANES * dense->in_padded,
                 &dense->x_samples);
}

static void close_dense(struct pbt_layer *layer) {
  pbt_mem_free(layer->dense.x_samples);
}

static int32_t tiles(int32_t n, int32_t tile) {
  return (n + tile - 1) / tile;
}

static void dense_forward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                          const struct pbt_layer_io *io) {
  const struct cpu_dense *dense = &layer->dense;
  const struct cpu_kernels *kernels = cpu->kernels;
  struct cpu_dense_call call = {dense, io, cpu_blocks(io->n)};
  pbt_cpu_threads_run(cpu->threads, kernels->dense_forward, &call,
                      tiles(dense->out, kernels->dense_tile));
}

static void dense_backward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                           const struct pbt_layer_io *io) {
  const struct cpu_dense *dense = &layer->dense;
  const struct cpu_kernels *kernels = cpu->kernels;
  struct cpu_dense_call call = {dense, io, cpu_blocks(io->n)};
  int32_t out_tiles = tiles(dense->out, kernels->dense_tile);
  pbt_cpu_threads_run(cpu->threads, kernels->dense_mask_bias, &call, out_tiles);
  pbt_cpu_threads_run(cpu->threads, kernels->dense_transpose, &call, call.blocks);
  pbt_cpu_threads_run(cpu->threads, kernels->dense_dweight, &call, out_tiles);
  if (io->dx != NULL) {
    pbt_cpu_threads_run(cpu->threads, kernels->dense_dx, &call,
                        tiles(dense->in, kernels->dense_tile));
  }
}

const struct cpu_layer_kind pbt_cpu_dense = {open_dense, close_dense, dense_forward,
                                             dense_backward};
