/*
 * Pools of any side and stride.  The gradient of a maximum goes to the first of the
 * greatest values, which is looked for again: x is still there.  Windows may overlap, so
 * gradients are added up, window after window, row by row.
 */
#include "backend/cpu/isa/isa.h"

/* The greatest of a window, the first of equals, and its place; a NaN wins. */
ALWAYS vf greatest(const struct cpu_pool *pool, const float *x, vi *place) {
  vf best = load(x);
  vi won = splat_int(0);
  for (int32_t p = 1; p < pool->k * pool->k; p++) {
    vf v = load(x + p / pool->k * pool->x.row + p % pool->k * CPU_LANES);
    vm stays = less_equal(v, best);
    best = choose(stays, best, v);
    won = choose_int(stays, won, splat_int(p));
  }
  *place = won;
  return best;
}

static vf mean_of(const struct cpu_pool *pool, const float *x) {
  vf sum = splat(0);
  for (int32_t p = 0; p < pool->k * pool->k; p++) {
    sum += load(x + p / pool->k * pool->x.row + p % pool->k * CPU_LANES);
  }
  return sum * splat(1.0F / (float)(pool->k * pool->k));
}

/* The first float of unit's plane. */
static int64_t plane_at(const struct cpu_pool *pool, const struct cpu_stride *stride,
                        int32_t unit) {
  return unit / pool->c * stride->block + unit % pool->c * stride->channel +
         stride->origin;
}

void KERNEL(pool_forward)(const void *context, int32_t begin, int32_t end,
                          int32_t thread) {
  (void)thread;
  const struct cpu_pool_call *call = context;
  const struct cpu_pool *pool = call->pool;
  for (int32_t unit = begin; unit < end; unit++) {
    const float *x = call->io->x + plane_at(pool, &pool->x, unit);
    float *y = call->io->y + plane_at(pool, &pool->y, unit);
    for (int32_t at = 0; at < pool->oh * pool->ow; at++) {
      int32_t oy = at / pool->ow, ox = at % pool->ow;
      const float *from = x + pool->stride * (oy * pool->x.row + ox * CPU_LANES);
      float *to = y + oy * pool->y.row + ox * CPU_LANES;
      for (int32_t g = 0; g < CPU_LANES; g += V) {
        vi place;
        store(to + g,
              pool->mean ? mean_of(pool, from + g) : greatest(pool, from + g, &place));
      }
    }
  }
}

/* What one output adds to the gradients of its window. */
static void spread(const struct cpu_pool *pool, const float *x, vf dy, float *dx) {
  vi place = splat_int(0);
  vf share = dy * splat(1.0F / (float)(pool->k * pool->k));
  if (!pool->mean) {
    greatest(pool, x, &place);
  }
  for (int32_t p = 0; p < pool->k * pool->k; p++) {
    float *to = dx + p / pool->k * pool->x.row + p % pool->k * CPU_LANES;
    vf v = pool->mean ? share : keep(equal(place, splat_int(p)), dy);
    store(to, load(to) + v);
  }
}

void KERNEL(pool_backward)(const void *context, int32_t begin, int32_t end,
                           int32_t thread) {
  (void)thread;
  const struct cpu_pool_call *call = context;
  const struct cpu_pool *pool = call->pool;
  for (int32_t unit = begin; unit < end; unit++) {
    int64_t plane = plane_at(pool, &pool->x, unit);
    const float *x = call->io->x + plane;
    const float *dy = call->io->dy + plane_at(pool, &pool->y, unit);
    float *dx = call->io->dx + plane;
    for (int32_t y = 0; y < pool->ih && !call->io->add_dx; y++) {
      memset(dx + y * pool->x.row, 0, (size_t)pool->iw * CPU_LANES * sizeof *dx);
    }
    for (int32_t at = 0; at < pool->oh * pool->ow; at++) {
      int32_t oy = at / pool->ow, ox = at % pool->ow;
      int64_t in = pool->stride * (oy * pool->x.row + ox * CPU_LANES);
      for (int32_t g = 0; g < CPU_LANES; g += V) {
        spread(pool, x + in + g, load(dy + oy * pool->y.row + ox * CPU_LANES + g),
               dx + in + g);
      }
    }
  }
}
