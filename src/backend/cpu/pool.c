/* Pools of their own: any side and stride; one plane of one block is one unit. */
#include <stdio.h>

#include "backend/cpu/cpu.h"

static pbt_status open_pool(struct cpu_backend *cpu, const struct pbt_layer_desc *desc,
                            struct pbt_layer *layer) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  int32_t k = desc->kernel, stride = desc->stride;
  if (k < 1 || stride < 1 || desc->pad != 0 || in->c != out->c || in->c < 1 ||
      in->h < k || in->w < k || out->h != (in->h - k) / stride + 1 ||
      out->w != (in->w - k) / stride + 1) {
    return PBT_BUG("a pool whose shapes do not fit");
  }
  layer->pool = (struct cpu_pool){.c = in->c,
                                  .ih = in->h,
                                  .iw = in->w,
                                  .oh = out->h,
                                  .ow = out->w,
                                  .k = k,
                                  .stride = stride,
                                  .mean = desc->mean,
                                  .x = pbt_cpu_stride(*in),
                                  .y = pbt_cpu_stride(*out)};
  snprintf(layer->description, sizeof layer->description, "%s pool %d@%dx%d %s plain",
           desc->mean ? "mean" : "max", in->c, k, k, cpu->kernels->name);
  return PBT_OK;
}

static void pool_forward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                         const struct pbt_layer_io *io) {
  struct cpu_pool_call call = {&layer->pool, io};
  pbt_cpu_threads_run(cpu->threads, cpu->kernels->pool_forward, &call,
                      cpu_blocks(io->n) * layer->pool.c);
}

static void pool_backward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                          const struct pbt_layer_io *io) {
  if (io->dx != NULL) {
    struct cpu_pool_call call = {&layer->pool, io};
    pbt_cpu_threads_run(cpu->threads, cpu->kernels->pool_backward, &call,
                        cpu_blocks(io->n) * layer->pool.c);
  }
}

const struct cpu_layer_kind pbt_cpu_pool = {open_pool, NULL, pool_forward, pool_backward};
