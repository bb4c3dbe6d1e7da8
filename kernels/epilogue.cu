/*
 * What surrounds a convolution that a library computes: bias, ReLU and pool after it, and
 * their gradients before its own.
 */
#include "device.cuh"

enum { BLOCK = 256 };

static __global__ void forward(kernel_conv conv, int n, kernel_shape z_shape,
                               const float *z, const float *bias, float *y,
                               uint8_t *place) {
  int64_t all = n * conv.y.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    position p = position_of(conv.y, i);
    float best = 0;
    int won = 0;
    for (int k = 0; k < conv.pool * conv.pool; k++) {
      float v = z[place_of(z_shape, p.n, p.c, p.y * conv.pool + k / conv.pool,
                           p.x * conv.pool + k % conv.pool)];
      if (k == 0 || !(v <= best)) { // the first of equals; a NaN wins
        best = v;
        won = k;
      }
    }
    best += bias != NULL ? bias[p.c] : 0;
    bool off = conv.relu && best <= 0;
    y[i] = off ? 0 : best;
    if (place != NULL) {
      place[i] = (uint8_t)(off ? KERNEL_PLACE_NONE : won);
    }
  }
}

/* One thread a value of g. */
static __global__ void backward(kernel_conv conv, int n, const float *y, const float *dy,
                                const uint8_t *place, kernel_shape g_shape, float *g) {
  int64_t all = n * g_shape.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    position p = position_of(g_shape, i);
    int oy = p.y / conv.pool, ox = p.x / conv.pool;
    float value = 0;
    if (oy < conv.y.h && ox < conv.y.w) {
      int64_t at = place_of(conv.y, p.n, p.c, oy, ox);
      int k = (p.y - oy * conv.pool) * conv.pool + p.x - ox * conv.pool;
      bool on = place != NULL ? place[at] == k : !conv.relu || !(y[at] <= 0);
      value = on ? dy[at] : 0;
    }
    g[i] = value;
  }
}

/* One block a channel. */
static __global__ void bias_gradient(kernel_shape shape, int n, const float *g,
                                     float *dbias) {
  __shared__ double room[BLOCK / WARP];
  int c = (int)blockIdx.x;
  uint32_t plane = (uint32_t)(shape.h * shape.w), all = (uint32_t)n * plane;
  double sum = 0;
  for (uint32_t i = threadIdx.x; i < all; i += BLOCK) {
    sum += (double)
        g[i / plane * shape.sample + c * shape.channel + i % plane * shape.column];
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) {
    dbias[c] = (float)sum;
  }
}

extern "C" cudaError_t kernel_epilogue_forward(const struct kernel_conv *conv, int32_t n,
                                               const struct kernel_shape *z_shape,
                                               const float *z, const float *bias,
                                               float *y, uint8_t *place,
                                               cudaStream_t stream) {
  int blocks = blocks_for(n * conv->y.sample, BLOCK, MANY_BLOCKS);
  return launch(forward, dim3((unsigned)blocks), BLOCK, 0, stream, *conv, n, *z_shape, z,
                bias, y, place);
}

extern "C" cudaError_t kernel_epilogue_backward(const struct kernel_conv *conv, int32_t n,
                                                const float *y, const float *dy,
                                                const uint8_t *place,
                                                const struct kernel_shape *g_shape,
                                                float *g, cudaStream_t stream) {
  int blocks = blocks_for(n * g_shape->sample, BLOCK, MANY_BLOCKS);
  return launch(backward, dim3((unsigned)blocks), BLOCK, 0, stream, *conv, n, y, dy,
                place, *g_shape, g);
}

extern "C" cudaError_t kernel_bias_gradient(const struct kernel_shape *shape, int32_t n,
                                            const float *g, float *dbias,
                                            cudaStream_t stream) {
  return launch(bias_gradient, dim3((unsigned)shape->c), BLOCK, 0, stream, *shape, n, g,
                dbias);
}
