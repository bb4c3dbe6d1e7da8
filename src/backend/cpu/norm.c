/* Batch normalisation, and the addition of two activations: one channel is one unit. */
#include <stdio.h>

#include "backend/cpu/cpu.h"
#include "base/memory.h" // counted memory

static bool same_plane(const struct pbt_shape *a, const struct pbt_shape *b) {
  return a->c == b->c && a->h == b->h && a->w == b->w;
}

static pbt_status check(const struct pbt_layer_desc *desc) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out, *skip = &desc->skip;
  bool fits = same_plane(in, out) && in->c >= 1 && in->h >= 1 && in->w >= 1;
  if (skip->c > 0) {
    fits = fits && skip->c <= out->c && skip->h % out->h == 0 && skip->w % out->w == 0 &&
           skip->h / out->h == skip->w / out->w && skip->h >= out->h;
  } else {
    fits = fits && desc->kind != PBT_LAYER_ADD;
  }
  return fits ? PBT_OK : PBT_BUG("a normalisation or addition whose shapes do not fit");
}

static void describe(struct pbt_layer *layer, const char *isa) {
  const struct cpu_norm *norm = &layer->norm;
  snprintf(layer->description, sizeof layer->description, "%s %d@%dx%d %s tiled%s%s",
           norm->add ? "add" : "norm", norm->c, norm->h, norm->w, isa,
           norm->skip_c > 0 && !norm->add ? ", fused skip" : "",
           norm->relu ? ", fused relu" : "");
}

static pbt_status open_norm(struct cpu_backend *cpu, const struct pbt_layer_desc *desc,
                            struct pbt_layer *layer) {
  struct cpu_norm *norm = &layer->norm;
  PBT_TRY(check(desc));
  const struct pbt_shape *out = &desc->out, *skip = &desc->skip;
  *norm = (struct cpu_norm){.c = out->c,
                            .h = out->h,
                            .w = out->w,
                            .add = desc->kind == PBT_LAYER_ADD,
                            .relu = desc->relu,
                            .x = pbt_cpu_stride(desc->in),
                            .y = pbt_cpu_stride(*out),
                            .skip = pbt_cpu_stride(*skip),
                            .skip_c = skip->c,
                            .skip_first = (out->c - skip->c) / 2,
                            .skip_step = skip->c > 0 ? skip->h / out->h : 1};
  describe(layer, cpu->kernels->name);
  PBT_TRY(PBT_NEW(out->c, &norm->mean));
  return PBT_NEW(out->c, &norm->inverse);
}

static void close_norm(struct pbt_layer *layer) {
  pbt_mem_free(layer->norm.mean);
  pbt_mem_free(layer->norm.inverse);
}

static void norm_forward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                         const struct pbt_layer_io *io) {
  struct cpu_norm_call call = {&layer->norm, io, cpu_blocks(io->n)};
  pbt_cpu_threads_run(cpu->threads, cpu->kernels->norm_forward, &call, layer->norm.c);
}

static void norm_backward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                          const struct pbt_layer_io *io) {
  struct cpu_norm_call call = {&layer->norm, io, cpu_blocks(io->n)};
  pbt_cpu_threads_run(cpu->threads, cpu->kernels->norm_backward, &call, layer->norm.c);
}

const struct cpu_layer_kind pbt_cpu_norm = {open_norm, close_norm, norm_forward,
                                            norm_backward};
