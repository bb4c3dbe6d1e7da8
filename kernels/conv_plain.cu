/* Convolutions of any shape as plain loops: what runs where nothing better fits, and what
 * the library's engines are compared with. */
#include "device.cuh"

enum { BLOCK = 256 };

static __global__ void forward(kernel_conv conv, int n, const float *x,
                               const float *weight, kernel_shape z_shape, float *z) {
  int64_t all = n * z_shape.sample;
  int k = conv.k;
  for (int64_t at = thread_index(); at < all; at += thread_count()) {
    position p = position_of(z_shape, at);
    float sum = 0;
    for (int i = 0; i < conv.x.c; i++) {
      const float *w = weight + (int64_t)(p.c * conv.x.c + i) * k * k;
      for (int ky = 0; ky < k; ky++) {
        int y = p.y * conv.stride + ky - conv.pad;
        for (int kx = 0; kx < k && y >= 0 && y < conv.x.h; kx++) {
          int xx = p.x * conv.stride + kx - conv.pad;
          if (xx >= 0 && xx < conv.x.w) {
            sum += w[ky * k + kx] * x[place_of(conv.x, p.n, i, y, xx)];
          }
        }
      }
    }
    z[at] = sum;
  }
}

static __global__ void gradient_x(kernel_conv conv, int n, const float *weight,
                                  kernel_shape g_shape, const float *g, float *dx,
                                  bool add) {
  int64_t all = n * conv.x.sample;
  int k = conv.k;
  for (int64_t at = thread_index(); at < all; at += thread_count()) {
    position p = position_of(conv.x, at);
    float sum = 0;
    for (int o = 0; o < g_shape.c; o++) {
      const float *w = weight + (int64_t)(o * conv.x.c + p.c) * k * k;
      for (int ky = 0; ky < k; ky++) {
        int y = p.y + conv.pad - ky;
        bool row = y >= 0 && y % conv.stride == 0 && y / conv.stride < g_shape.h;
        for (int kx = 0; kx < k && row; kx++) {
          int xx = p.x + conv.pad - kx;
          if (xx >= 0 && xx % conv.stride == 0 && xx / conv.stride < g_shape.w) {
            sum += w[ky * k + kx] *
                   g[place_of(g_shape, p.n, o, y / conv.stride, xx / conv.stride)];
          }
        }
      }
    }
    dx[at] = add ? dx[at] + sum : sum;
  }
}

/* One block a weight. */
static __global__ void gradient_weight(kernel_conv conv, int n, const float *x,
                                       kernel_shape g_shape, const float *g,
                                       float *dweight) {
  __shared__ double room[BLOCK / WARP];
  int k = conv.k, at = (int)blockIdx.x;
  int kx = at % k, ky = at / k % k, i = at / (k * k) % conv.x.c,
      o = at / (k * k) / conv.x.c;
  uint32_t plane = (uint32_t)(g_shape.h * g_shape.w), all = (uint32_t)n * plane;
  double sum = 0;
  for (uint32_t j = threadIdx.x; j < all; j += BLOCK) {
    int in_plane = (int)(j % plane);
    int gy = in_plane / g_shape.w, gx = in_plane % g_shape.w;
    int y = gy * conv.stride + ky - conv.pad, xx = gx * conv.stride + kx - conv.pad;
    if (y >= 0 && y < conv.x.h && xx >= 0 && xx < conv.x.w) {
      sum += (double)g[place_of(g_shape, j / plane, o, gy, gx)] *
             (double)x[place_of(conv.x, j / plane, i, y, xx)];
    }
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) {
    dweight[at] = (float)sum;
  }
}

extern "C" cudaError_t kernel_conv_plain_forward(const struct kernel_conv *conv,
                                                 int32_t n, const float *x,
                                                 const float *weight,
                                                 const struct kernel_shape *z_shape,
                                                 float *z, cudaStream_t stream) {
  int blocks = blocks_for(n * z_shape->sample, BLOCK, MANY_BLOCKS);
  return launch(forward, dim3((unsigned)blocks), BLOCK, 0, stream, *conv, n, x, weight,
                *z_shape, z);
}

extern "C" cudaError_t kernel_conv_plain_dx(const struct kernel_conv *conv, int32_t n,
                                            const float *weight,
                                            const struct kernel_shape *g_shape,
                                            const float *g, float *dx, bool add_dx,
                                            cudaStream_t stream) {
  int blocks = blocks_for(n * conv->x.sample, BLOCK, MANY_BLOCKS);
  return launch(gradient_x, dim3((unsigned)blocks), BLOCK, 0, stream, *conv, n, weight,
                *g_shape, g, dx, add_dx);
}

extern "C" cudaError_t kernel_conv_plain_dweight(const struct kernel_conv *conv,
                                                 int32_t n, const float *x,
                                                 const struct kernel_shape *g_shape,
                                                 const float *g, float *dweight,
                                                 cudaStream_t stream) {
  unsigned weights = (unsigned)(conv->y.c * conv->x.c * conv->k * conv->k);
  return launch(gradient_weight, dim3(weights), BLOCK, 0, stream, *conv, n, x, *g_shape,
                g, dweight);
}
