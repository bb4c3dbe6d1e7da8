/* Dropout: the mask is drawn again for the backward pass, and kept nowhere. */
#include <stdio.h>

#include "backend/cpu/cpu.h"

static pbt_status open_dropout(struct cpu_backend *cpu, const struct pbt_layer_desc *desc,
                               struct pbt_layer *layer) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  if (in->c != out->c || in->h != out->h || in->w != out->w || in->c < 1 || in->h < 1 ||
      in->w < 1 || desc->stream < 0 || desc->stream >= PBT_DROPOUT_STREAMS) {
    return PBT_BUG("a dropout layer whose shapes do not fit");
  }
  int64_t quads = ((int64_t)in->c * in->h * in->w + 3) / 4;
  if (quads * layer->max_batch > PBT_DROPOUT_BLOCKS) {
    return pbt_fail(PBT_ERR_DATA,
                    "dropout of %d samples of %d x %d x %d values: at most %d values",
                    layer->max_batch, in->c, in->h, in->w, 4 * PBT_DROPOUT_BLOCKS);
  }
  layer->dropout = (struct cpu_dropout){.c = in->c,
                                        .h = in->h,
                                        .w = in->w,
                                        .stream = (uint32_t)desc->stream,
                                        .quads = (uint32_t)quads,
                                        .x = pbt_cpu_stride(*in),
                                        .y = pbt_cpu_stride(*out)};
  snprintf(layer->description, sizeof layer->description, "dropout %d@%dx%d %s tiled",
           in->c, in->h, in->w, cpu->kernels->name);
  return PBT_OK;
}

static void dropout_forward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                            const struct pbt_layer_io *io) {
  const struct cpu_dropout *dropout = &layer->dropout;
  struct cpu_dropout_call call = {.dropout = dropout,
                                  .step = io->training ? io->step : NULL,
                                  .from = io->x,
                                  .to = io->y,
                                  .from_stride = &dropout->x,
                                  .to_stride = &dropout->y};
  pbt_cpu_threads_run(cpu->threads, cpu->kernels->dropout, &call, cpu_blocks(io->n));
}

static void dropout_backward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                             const struct pbt_layer_io *io) {
  const struct cpu_dropout *dropout = &layer->dropout;
  struct cpu_dropout_call call = {.dropout = dropout,
                                  .step = io->training ? io->step : NULL,
                                  .from = io->dy,
                                  .to = io->dx,
                                  .from_stride = &dropout->y,
                                  .to_stride = &dropout->x,
                                  .add = io->add_dx};
  if (io->dx != NULL) {
    pbt_cpu_threads_run(cpu->threads, cpu->kernels->dropout, &call, cpu_blocks(io->n));
  }
}

const struct cpu_layer_kind pbt_cpu_dropout = {open_dropout, NULL, dropout_forward,
                                               dropout_backward};
