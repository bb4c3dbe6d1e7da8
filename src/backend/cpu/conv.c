/*
 * Convolutions: which path, what memory, and the regions of a backward pass.
 *
 * The gradient before the pool is written out only where it must be (dx reads neighbours
 * of it); dweight unpools in registers.  A ragged last block is made harmless first: its
 * padding lanes of dy become zero, and dweight reads a copy of x whose padding lanes are
 * zero, so that nothing a padding lane holds, NaN included, reaches a sum.
 */
#include <stdio.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/memory.h" // counted memory

static pbt_status check(const struct pbt_layer_desc *desc, int32_t ch, int32_t cw) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  bool fits = desc->kernel >= 1 && desc->stride >= 1 && desc->pad >= 0 &&
              desc->pad <= in->halo && desc->pool >= 0 && desc->pool <= CPU_MAX_POOL &&
              in->c >= 1 && out->c >= 1 && ch >= 1 && cw >= 1;
  int32_t pool = desc->pool > 0 ? desc->pool : 1;
  if (!fits || out->h != ch / pool || out->w != cw / pool || out->h < 1 || out->w < 1) {
    return PBT_BUG("a convolution whose shapes do not fit");
  }
  return PBT_OK;
}

static void choose_path(struct cpu_conv *conv) {
  bool pooled = conv->pool == 2 && conv->stride == 1;
  conv->tiled = (conv->k == 1 || conv->k == 3 || conv->k == 5) && conv->stride <= 2 &&
                (conv->pool == 0 || pooled) && conv->pad < conv->k;
  /* Without padding a row of dx has k - 1 taps beyond each edge of dy: too many to
   * multiply by zero where k is 5. */
  conv->trim = conv->tiled && conv->stride == 1 && conv->k == 5 && conv->pad == 0 &&
               conv->cw >= conv->k - 1;
}

/* How far dx reads beyond the gradient before the pool: before its first row or column,
 * and after the last of n where m are read. */
static int32_t reach(const struct cpu_conv *conv, int32_t n, int32_t m) {
  int32_t before = (conv->k - 1 - conv->pad + conv->stride - 1) / conv->stride;
  int32_t after = (m - 1 + conv->pad) / conv->stride - (n - 1);
  return before > after ? before : after;
}

/* The halo that dx wants around the gradient before the pool. */
static int32_t gradient_halo(const struct cpu_conv *conv) {
  int32_t halo = reach(conv, conv->cw, conv->iw);
  return conv->tiled && !conv->trim && halo > 0 ? halo : 0;
}

static pbt_status allocate(struct cpu_backend *cpu, int32_t max_batch,
                           struct cpu_conv *conv) {
  int64_t blocks = cpu_blocks(max_batch);
  if (conv->pool > 0) {
    PBT_TRY(PBT_NEW(blocks * conv->oc * conv->oh * conv->ow * CPU_LANES, &conv->place));
  }
  if (conv->unpool) {
    int64_t copies = conv->all_blocks ? blocks : cpu->n_threads;
    PBT_TRY(PBT_NEW(copies * conv->g.block, &conv->g_memory));
  }
  PBT_TRY(pbt_cpu_reserve(cpu, cpu->kernels->conv_dweight_floats(conv)));
  return PBT_NEW(conv->x.block, &conv->x_last);
}

static void describe(struct pbt_layer *layer, const char *isa) {
  const struct cpu_conv *conv = &layer->conv;
  snprintf(layer->description, sizeof layer->description, "conv %d@%dx%d %s %s%s%s",
           conv->oc, conv->k, conv->k, isa, conv->tiled ? "tiled" : "plain",
           conv->relu ? ", fused relu" : "", conv->pool > 0 ? ", fused pool" : "");
}

static pbt_status open_conv(struct cpu_backend *cpu, const struct pbt_layer_desc *desc,
                            struct pbt_layer *layer) {
  struct cpu_conv *conv = &layer->conv;
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  int32_t stride = desc->stride > 0 ? desc->stride : 1;
  int32_t ch = (in->h + 2 * desc->pad - desc->kernel) / stride + 1;
  int32_t cw = (in->w + 2 * desc->pad - desc->kernel) / stride + 1;
  PBT_TRY(check(desc, ch, cw));
  *conv = (struct cpu_conv){
      .ic = in->c,
      .ih = in->h,
      .iw = in->w,
      .oc = out->c,
      .ch = ch,
      .cw = cw,
      .oh = out->h,
      .ow = out->w,
      .k = desc->kernel,
      .stride = stride,
      .pad = desc->pad,
      .pool = desc->pool > 1 ? desc->pool : 0,
      .relu = desc->relu,
      .x = pbt_cpu_stride(*in),
      .y = pbt_cpu_stride(*out),
  };
  choose_path(conv);
  int32_t halo = gradient_halo(conv);
  conv->unpool = !conv->tiled || conv->pool > 0 || out->halo < halo;
  conv->all_blocks = !conv->tiled;
  conv->g = conv->unpool
                ? pbt_cpu_stride((struct pbt_shape){conv->oc, conv->ch, conv->cw, halo})
                : conv->y;
  describe(layer, cpu->kernels->name);
  return allocate(cpu, layer->max_batch, conv);
}

static void close_conv(struct pbt_layer *layer) {
  struct cpu_conv *conv = &layer->conv;
  pbt_mem_free(conv->place);
  pbt_mem_free(conv->g_memory);
  pbt_mem_free(conv->x_last);
}

static void conv_forward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                         const struct pbt_layer_io *io) {
  const struct cpu_conv *conv = &layer->conv;
  struct cpu_conv_call call = {.conv = conv, .io = io, .blocks = cpu_blocks(io->n)};
  pbt_cpu_threads_run(cpu->threads, cpu->kernels->conv_forward, &call,
                      call.blocks * conv->oh);
}

/* The last block of x, with its padding lanes zero. */
static const float *clean_tail(const struct cpu_conv *conv,
                               const struct pbt_layer_io *io) {
  const float *from = io->x + (cpu_blocks(io->n) - 1) * conv->x.block;
  int32_t lanes = io->n % CPU_LANES;
  if (lanes == 0) {
    return from;
  }
  for (int64_t i = 0; i < conv->x.block; i += CPU_LANES) {
    memcpy(conv->x_last + i, from + i, (size_t)lanes * sizeof *from);
    memset(conv->x_last + i + lanes, 0, (size_t)(CPU_LANES - lanes) * sizeof *from);
  }
  return conv->x_last;
}

static void conv_backward(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                          const struct pbt_layer_io *io) {
  const struct cpu_conv *conv = &layer->conv;
  const struct cpu_kernels *kernels = cpu->kernels;
  struct cpu_conv_call call = {.conv = conv,
                               .io = io,
                               .blocks = cpu_blocks(io->n),
                               .x_tail = clean_tail(conv, io),
                               .lane_sums = cpu->scratch};
  bool ragged = io->n % CPU_LANES != 0, mask = conv->relu && conv->pool == 0;
  if (io->dbias != NULL || mask || ragged) {
    pbt_cpu_threads_run(cpu->threads, kernels->conv_mask_bias, &call, conv->oc);
  }
  if (conv->all_blocks) {
    pbt_cpu_threads_run(cpu->threads, kernels->conv_unpool, &call, call.blocks);
  }
  pbt_cpu_threads_run(cpu->threads, kernels->conv_dweight, &call,
                      kernels->conv_dweight_units(conv));
  if (io->dx != NULL) {
    pbt_cpu_threads_run(cpu->threads, kernels->conv_dx, &call, call.blocks * conv->ih);
  }
}

const struct cpu_layer_kind pbt_cpu_conv = {open_conv, close_conv, conv_forward,
                                            conv_backward};
