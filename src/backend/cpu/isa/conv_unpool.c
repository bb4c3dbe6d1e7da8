/* The gradient before the pool and the ReLU, and what is summed from it: the bias. */
#include "backend/cpu/isa/isa.h"

/* What reaches the sum of one output of the lane group: dy through ReLU and padding. */
ALWAYS vf passed(const struct cpu_conv *conv, const float *dy, const float *y,
                 int64_t place) {
  vf v = load(dy);
  if (conv->pool > 0) {
    vi won = load_bytes(conv->place + place);
    return keep(differ(won, splat_int(CPU_PLACE_NONE)), v);
  }
  return conv->relu ? choose(less_equal(load(y), splat(0)), splat(0), v) : v;
}

/* One channel of one block and group: dy masked in place, and its sum into acc. */
static void mask_plane(const struct cpu_conv_call *call, int32_t block, int32_t o,
                       int32_t g, vf acc[4]) {
  const struct cpu_conv *conv = call->conv;
  int64_t first = block * conv->y.block + o * conv->y.channel + conv->y.origin + g;
  int32_t rest = call->io->n - block * CPU_LANES;
  bool ragged = rest < CPU_LANES;
  vm used = lanes_below(rest, g);
  int64_t place = (int64_t)(block * conv->oc + o) * conv->oh * conv->ow * CPU_LANES + g;
  for (int32_t oy = 0; oy < conv->oh; oy++) {
    float *dy = call->io->dy + first + oy * conv->y.row;
    const float *y = call->io->y + first + oy * conv->y.row;
    int64_t row = place + (int64_t)oy * conv->ow * CPU_LANES;
    for (int32_t ox = 0; ox < conv->ow; ox++) {
      int64_t at = (int64_t)ox * CPU_LANES;
      vf v = passed(conv, dy + at, y + at, row + at);
      if (ragged) {
        v = keep(used, v);
      }
      if (ragged || conv->pool == 0) {
        store(dy + at, v);
      }
      acc[ox & 3] += v;
    }
  }
}

void KERNEL(conv_mask_bias)(const void *context, int32_t begin, int32_t end,
                            int32_t thread) {
  (void)thread;
  const struct cpu_conv_call *call = context;
  bool mask = call->conv->relu && call->conv->pool == 0;
  int32_t first = call->io->dbias != NULL || mask ? 0 : call->blocks - 1; // ragged only
  for (int32_t o = begin; o < end; o++) {
    _Alignas(64) float lane[CPU_LANES];
    for (int32_t g = 0; g < CPU_LANES; g += V) {
      vf acc[4] = {splat(0), splat(0), splat(0), splat(0)};
      for (int32_t block = first; block < call->blocks; block++) {
        mask_plane(call, block, o, g, acc);
      }
      store(lane + g, (acc[0] + acc[1]) + (acc[2] + acc[3]));
    }
    if (call->io->dbias != NULL) {
      call->io->dbias[o] = sum_of_lanes(lane);
    }
  }
}

/* One plane; `place` is read only under a pool. */
static void unpool_plane(const struct cpu_conv *conv, const float *dy,
                         const uint8_t *place, float *to) {
  int32_t pool = conv->pool;
  for (int32_t oy = 0; oy < conv->oh; oy++) {
    for (int32_t ox = 0; ox < conv->ow; ox++) {
      for (int32_t g = 0; g < CPU_LANES; g += V) {
        vf v = load(dy + oy * conv->y.row + ox * CPU_LANES + g);
        if (pool == 0) {
          store(to + oy * conv->g.row + ox * CPU_LANES + g, v);
          continue;
        }
        vi won = load_bytes(place + ((int64_t)oy * conv->ow + ox) * CPU_LANES + g);
        for (int32_t p = 0; p < pool * pool; p++) {
          float *at = to + (oy * pool + p / pool) * conv->g.row +
                      (ox * pool + p % pool) * CPU_LANES + g;
          store(at, keep(equal(won, splat_int(p)), v));
        }
      }
    }
  }
}

void KERNEL(unpool_block)(const struct cpu_conv_call *call, int32_t block, float *g) {
  const struct cpu_conv *conv = call->conv;
  int64_t plane = (int64_t)conv->oh * conv->ow * CPU_LANES;
  for (int32_t o = 0; o < conv->oc; o++) {
    const uint8_t *place = NULL;
    if (conv->pool > 0) {
      place = conv->place + (block * conv->oc + o) * plane;
    }
    unpool_plane(
        conv, call->io->dy + block * conv->y.block + conv->y.origin + o * conv->y.channel,
        place, g + conv->g.origin + o * conv->g.channel);
  }
}

void KERNEL(conv_unpool)(const void *context, int32_t begin, int32_t end,
                         int32_t thread) {
  (void)thread;
  const struct cpu_conv_call *call = context;
  for (int32_t block = begin; block < end; block++) {
    KERNEL(unpool_block)(call, block, call->conv->g_memory + block * call->conv->g.block);
  }
}
