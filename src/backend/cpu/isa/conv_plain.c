/* Convolutions of any kernel, stride and pool: one output at a time, all lanes.  The
 * order of every sum is that of the tiled kernels. */
#include "backend/cpu/isa/isa.h"

/* The convolution at (cy, cx) of one channel. */
static vf convolve(const struct cpu_conv *conv, const float *x, const float *weight,
                   vf acc) {
  for (int32_t i = 0; i < conv->ic; i++) {
    for (int32_t ky = 0; ky < conv->k; ky++) {
      for (int32_t kx = 0; kx < conv->k; kx++) {
        vf v = load(x + i * conv->x.channel + ky * conv->x.row + kx * CPU_LANES);
        acc = fma_(splat(*weight++), v, acc);
      }
    }
  }
  return acc;
}

/* One pooled output; x at the first tap of the window's first place. */
static void forward_one(const struct cpu_conv *conv, const float *x, const float *weight,
                        float bias, float *y, int64_t place) {
  int32_t pool = conv->pool > 0 ? conv->pool : 1;
  int64_t down = conv->stride * conv->x.row, right = conv->stride * CPU_LANES;
  vf best = convolve(conv, x, weight, splat(bias));
  vi won = splat_int(0);
  for (int32_t p = 1; p < pool * pool; p++) {
    vf v = convolve(conv, x + p / pool * down + p % pool * right, weight, splat(bias));
    vm stays = less_equal(v, best);
    best = choose(stays, best, v);
    won = choose_int(stays, won, splat_int(p));
  }
  if (conv->relu) {
    vm off = less_equal(best, splat(0));
    best = choose(off, splat(0), best);
    won = choose_int(off, splat_int(CPU_PLACE_NONE), won);
  }
  store(y, best);
  if (conv->pool > 0) {
    store_bytes(conv->place + place, won);
  }
}

void KERNEL(conv_forward_plain)(const void *context, int32_t begin, int32_t end,
                                int32_t thread) {
  (void)thread;
  const struct cpu_conv_call *call = context;
  const struct cpu_conv *conv = call->conv;
  const struct pbt_layer_io *io = call->io;
  int32_t step = conv->stride * (conv->pool > 0 ? conv->pool : 1);
  int64_t filter = (int64_t)conv->ic * conv->k * conv->k;
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t block = unit / conv->oh, oy = unit % conv->oh;
    const float *x = io->x + block * conv->x.block + conv->x.origin -
                     conv->pad * (conv->x.row + CPU_LANES) + oy * step * conv->x.row;
    float *y = io->y + block * conv->y.block + conv->y.origin + oy * conv->y.row;
    for (int32_t o = 0; o < conv->oc; o++) {
      int64_t first = ((int64_t)(block * conv->oc + o) * conv->oh + oy) * conv->ow;
      for (int32_t ox = 0; ox < conv->ow; ox++) {
        for (int32_t g = 0; g < CPU_LANES; g += V) {
          forward_one(conv, x + ox * step * CPU_LANES + g, io->weight + o * filter,
                      io->bias != NULL ? io->bias[o] : 0,
                      y + o * conv->y.channel + ox * CPU_LANES + g,
                      (first + ox) * CPU_LANES + g);
        }
      }
    }
  }
}

/* The gradient of one input: over the outputs that read it. */
static vf gradient_at(const struct cpu_conv *conv, const float *g, const float *weight,
                      int32_t y, int32_t x) {
  int64_t taps = (int64_t)conv->k * conv->k, filter = taps * conv->ic;
  vf acc = splat(0);
  for (int32_t o = 0; o < conv->oc; o++) {
    for (int32_t ky = 0; ky < conv->k; ky++) {
      int32_t gy = y + conv->pad - ky;
      if (gy < 0 || gy % conv->stride != 0 || gy / conv->stride >= conv->ch) {
        continue;
      }
      for (int32_t kx = 0; kx < conv->k; kx++) {
        int32_t gx = x + conv->pad - kx;
        if (gx < 0 || gx % conv->stride != 0 || gx / conv->stride >= conv->cw) {
          continue;
        }
        vf v = load(g + o * conv->g.channel + gy / conv->stride * conv->g.row +
                    gx / conv->stride * CPU_LANES);
        acc = fma_(splat(weight[o * filter + ky * conv->k + kx]), v, acc);
      }
    }
  }
  return acc;
}

void KERNEL(conv_dx_plain)(const void *context, int32_t begin, int32_t end,
                           int32_t thread) {
  (void)thread;
  const struct cpu_conv_call *call = context;
  const struct cpu_conv *conv = call->conv;
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t block = unit / conv->ih, y = unit % conv->ih;
    const float *g = conv->g_memory + block * conv->g.block + conv->g.origin;
    float *dx = call->io->dx + block * conv->x.block + conv->x.origin + y * conv->x.row;
    for (int32_t i = 0; i < conv->ic; i++) {
      const float *weight = call->io->weight + (int64_t)i * conv->k * conv->k;
      for (int32_t x = 0; x < conv->iw; x++) {
        float *to = dx + i * conv->x.channel + x * CPU_LANES;
        for (int32_t lane = 0; lane < CPU_LANES; lane += V) {
          vf v = gradient_at(conv, g + lane, weight, y, x);
          store(to + lane, call->io->add_dx ? v + load(to + lane) : v);
        }
      }
    }
  }
}

/* One weight's gradient in the lanes of a group: g over all blocks with x shifted. */
static vf correlate(const struct cpu_conv_call *call, int32_t o, int32_t i,
                    int64_t shift) {
  const struct cpu_conv *conv = call->conv;
  vf acc = splat(0);
  for (int32_t block = 0; block < call->blocks; block++) {
    bool last = block == call->blocks - 1;
    const float *x = (last ? call->x_tail : call->io->x + block * conv->x.block) +
                     conv->x.origin - conv->pad * (conv->x.row + CPU_LANES) +
                     i * conv->x.channel + shift;
    const float *g = conv->g_memory + block * conv->g.block + conv->g.origin +
                     o * conv->g.channel + shift % CPU_LANES;
    for (int32_t y = 0; y < conv->ch; y++) {
      for (int32_t at = 0; at < conv->cw; at++) {
        acc = fma_(load(g + y * conv->g.row + at * CPU_LANES),
                   load(x + conv->stride * (y * conv->x.row + at * CPU_LANES)), acc);
      }
    }
  }
  return acc;
}

void KERNEL(conv_dweight_plain)(const void *context, int32_t begin, int32_t end,
                                int32_t thread) {
  (void)thread;
  const struct cpu_conv_call *call = context;
  const struct cpu_conv *conv = call->conv;
  for (int32_t unit = begin; unit < end; unit++) {
    float *to = call->io->dweight + (int64_t)unit * conv->k * conv->k;
    for (int32_t tap = 0; tap < conv->k * conv->k; tap++) {
      _Alignas(64) float lane[CPU_LANES];
      int64_t shift = tap / conv->k * conv->x.row + tap % conv->k * CPU_LANES;
      for (int32_t g = 0; g < CPU_LANES; g += V) {
        store(lane + g, correlate(call, unit / conv->ic, unit % conv->ic, shift + g));
      }
      to[tap] = sum_of_lanes(lane);
    }
  }
}
