/*
 * Maximum or mean over windows, without padding.
 *
 * Forward: one thread an output; the maximum's place (row by row within the window, the
 * first of equals; a NaN wins) is kept.  Backward: one thread an input, which looks at
 * every window that covers it, so nothing is added twice and no order is left to chance.
 */
#include "device.cuh"

enum { BLOCK = 256 };

static __global__ void forward(kernel_pool pool, int n, const float *x, float *y,
                               uint16_t *place) {
  int64_t all = n * pool.y.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    position p = position_of(pool.y, i);
    float best = 0, sum = 0;
    int won = 0;
    for (int ky = 0; ky < pool.kernel; ky++) {
      for (int kx = 0; kx < pool.kernel; kx++) {
        float v =
            x[place_of(pool.x, p.n, p.c, p.y * pool.stride + ky, p.x * pool.stride + kx)];
        sum += v;
        int k = ky * pool.kernel + kx;
        if (k == 0 || !(v <= best)) {
          best = v;
          won = k;
        }
      }
    }
    y[i] = pool.mean ? sum / (float)(pool.kernel * pool.kernel) : best;
    if (!pool.mean) {
      place[i] = (uint16_t)won;
    }
  }
}

static __global__ void backward(kernel_pool pool, int n, const float *dy,
                                const uint16_t *place, float *dx, bool add) {
  int64_t all = n * pool.x.sample;
  int k = pool.kernel, s = pool.stride;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    position p = position_of(pool.x, i);
    /* Windows that begin at oy * s and cover p.y: oy * s <= p.y < oy * s + k. */
    int top = p.y < k ? 0 : (p.y - k) / s + 1, left = p.x < k ? 0 : (p.x - k) / s + 1;
    float sum = 0;
    for (int oy = top; oy <= p.y / s && oy < pool.y.h; oy++) {
      for (int ox = left; ox <= p.x / s && ox < pool.y.w; ox++) {
        int64_t at = place_of(pool.y, p.n, p.c, oy, ox);
        if (pool.mean) {
          sum += dy[at];
        } else if (place[at] == (p.y - oy * s) * k + p.x - ox * s) {
          sum += dy[at];
        }
      }
    }
    sum = pool.mean ? sum / (float)(k * k) : sum;
    dx[i] = add ? dx[i] + sum : sum;
  }
}

extern "C" cudaError_t kernel_pool_forward(const struct kernel_pool *pool, int32_t n,
                                           const float *x, float *y, uint16_t *place,
                                           cudaStream_t stream) {
  int blocks = blocks_for(n * pool->y.sample, BLOCK, MANY_BLOCKS);
  return launch(forward, dim3((unsigned)blocks), BLOCK, 0, stream, *pool, n, x, y, place);
}

extern "C" cudaError_t kernel_pool_backward(const struct kernel_pool *pool, int32_t n,
                                            const float *dy, const uint16_t *place,
                                            float *dx, bool add_dx, cudaStream_t stream) {
  int blocks = blocks_for(n * pool->x.sample, BLOCK, MANY_BLOCKS);
  return launch(backward, dim3((unsigned)blocks), BLOCK, 0, stream, *pool, n, dy, place,
                dx, add_dx);
}
