/*
 * Convolutions with few channels (LeNet-5's): direct sums out of shared memory.
 *
 *   forward   a block holds one sample's padded x and the weights of a group of output
 *             channels; a thread makes one output: the P x P values of its pool window
 *             share (K + P - 1)^2 values of x in registers; bias, ReLU and pool follow
 *             there, and which place won is kept in a byte.
 *   backward  one launch, two kinds of blocks.
 *     dx       the same loop with the kernel turned round: a block holds one sample's
 *              gradient before the pool (0 but where a place won) and makes 2 x 2 values
 *              of dx a thread.
 *     dweight  a block takes one output channel and a chunk of the samples; a thread owns
 *              one tap (input channel, ky, kx; the last tap is the bias) and walks the
 *              outputs' gradients, of which the pool has left one in four.  Chunks leave
 *              partial sums; the last block of a channel adds them in order.
 */
#include "device.cuh"

enum { BLOCK = 256, MOST_SHARED = 47 * 1024, GROUP_BLOCKS = 264 };

struct direct {
  kernel_conv conv;
  int n, group; // output channels of a block
  int padded_w, padded_h;
  int gw, gh;        // gradient of one channel in its ring of zeros, for whole tiles
  int chunks, chunk; // of samples, in dweight
  int dx_blocks, in_group;
};

static inline int up(int n, int d) {
  return (n + d - 1) / d;
}

/* Everything that the shape and the batch decide; false: not for these kernels. */
static bool plan(const struct kernel_conv *conv, int n, direct *d) {
  int p = conv->pool, k = conv->k;
  if (conv->stride != 1 || (k != 3 && k != 5) || p < 1 || p > 2 || conv->pad >= k ||
      conv->x.c > 16 || conv->y.c > 64) {
    return false;
  }
  d->conv = *conv;
  d->n = n;
  /* Enough blocks to fill a large chip, but no group smaller than one channel. */
  int groups = up(GROUP_BLOCKS, n) < conv->y.c ? up(GROUP_BLOCKS, n) : conv->y.c;
  d->group = up(conv->y.c, groups);
  int in_groups = up(GROUP_BLOCKS, n) < conv->x.c ? up(GROUP_BLOCKS, n) : conv->x.c;
  d->in_group = up(conv->x.c, in_groups);
  d->padded_w = conv->x.w + 2 * conv->pad;
  d->padded_h = conv->x.h + 2 * conv->pad;
  d->gw = (conv->x.w + 1) / 2 * 2 + k - 1;
  d->gh = (conv->x.h + 1) / 2 * 2 + k - 1;
  int chunks = up(2 * GROUP_BLOCKS, conv->y.c);
  chunks = chunks < n ? chunks : n;
  chunks = chunks < 64 ? chunks : 64;
  d->chunk = up(n, chunks);
  d->chunks = up(n, d->chunk);
  d->dx_blocks = n * up(conv->x.c, d->in_group);
  return true;
}

static size_t forward_floats(const direct &d) {
  const kernel_conv &c = d.conv;
  return (size_t)c.x.c * d.padded_w * d.padded_h + (size_t)d.group * c.x.c * c.k * c.k;
}

static size_t dx_floats(const direct &d) {
  const kernel_conv &c = d.conv;
  return (size_t)c.y.c * d.gw * d.gh + (size_t)c.y.c * d.in_group * c.k * c.k;
}

static size_t dweight_floats(const direct &d) {
  const kernel_conv &c = d.conv;
  int taps = c.x.c * c.k * c.k + 1;
  return (size_t)c.x.c * d.padded_w * d.padded_h + 2 * (size_t)c.y.h * c.y.w +
         (size_t)up(taps, BLOCK) * BLOCK;
}

static __device__ void load_x(const direct &d, const float *x, int64_t n, float *to) {
  const kernel_conv &c = d.conv;
  int plane = d.padded_w * d.padded_h;
  for (int i = (int)threadIdx.x; i < c.x.c * plane; i += BLOCK) {
    int y = i % plane / d.padded_w - c.pad, xx = i % d.padded_w - c.pad;
    bool inside = y >= 0 && y < c.x.h && xx >= 0 && xx < c.x.w;
    to[i] = inside ? x[place_of(c.x, n, i / plane, y, xx)] : 0;
  }
}

/* sum[a][b] += the K x K kernel w over the window at (top + a, left + b). */
template <int K, int P>
static __device__ inline void window(const float *from, int width, const float *w,
                                     float sum[P * P]) {
  float v[K + P - 1][K + P - 1];
#pragma unroll
  for (int y = 0; y < K + P - 1; y++) {
#pragma unroll
    for (int x = 0; x < K + P - 1; x++) {
      v[y][x] = from[y * width + x];
    }
  }
#pragma unroll
  for (int ky = 0; ky < K; ky++) {
#pragma unroll
    for (int kx = 0; kx < K; kx++) {
      float tap = w[ky * K + kx];
#pragma unroll
      for (int p = 0; p < P * P; p++) {
        sum[p] += tap * v[ky + p / P][kx + p % P];
      }
    }
  }
}

template <int K, int P>
static __global__ void forward(direct d, const float *x, const float *weight,
                               const float *bias, float *y, uint8_t *place) {
  const kernel_conv &c = d.conv;
  float *image = (float *)dynamic_shared();
  int plane = d.padded_w * d.padded_h;
  float *taps = image + c.x.c * plane;
  int64_t n = blockIdx.x;
  int first = (int)blockIdx.y * d.group, taps_of = c.x.c * K * K;
  int group = c.y.c - first < d.group ? c.y.c - first : d.group;
  load_x(d, x, n, image);
  for (int i = (int)threadIdx.x; i < group * taps_of; i += BLOCK) {
    taps[i] = weight[first * taps_of + i];
  }
  __syncthreads();
  int outputs = c.y.h * c.y.w;
  for (int i = (int)threadIdx.x; i < group * outputs; i += BLOCK) {
    int o = i / outputs, oy = i % outputs / c.y.w, ox = i % outputs % c.y.w;
    float b = bias != NULL ? bias[first + o] : 0;
    float sum[P * P];
#pragma unroll
    for (int p = 0; p < P * P; p++) {
      sum[p] = b;
    }
    for (int ic = 0; ic < c.x.c; ic++) {
      window<K, P>(image + ic * plane + oy * P * d.padded_w + ox * P, d.padded_w,
                   taps + (o * c.x.c + ic) * K * K, sum);
    }
    float best = sum[0];
    int won = 0;
#pragma unroll
    for (int p = 1; p < P * P; p++) {
      if (!(sum[p] <= best)) { // the first of equals; a NaN wins
        best = sum[p];
        won = p;
      }
    }
    bool off = c.relu && best <= 0;
    y[place_of(c.y, n, first + o, oy, ox)] = off ? 0 : best;
    if (place != NULL) {
      place[(n * c.y.c + first + o) * outputs + oy * c.y.w + ox] =
          (uint8_t)(off ? KERNEL_PLACE_NONE : won);
    }
  }
}

struct gradients {
  const float *x, *weight, *y, *dy;
  const uint8_t *place;
  float *dx, *dweight, *dbias, *partial;
  uint32_t *counter;
  bool add_dx;
};

/* The gradient at output i of channel o, and where in the plane before the pool. */
template <int P>
static __device__ inline float won_gradient(const kernel_conv &c, const gradients &t,
                                            int64_t n, int o, int i, int *gy, int *gx) {
  int oy = i / c.y.w, ox = i % c.y.w;
  int64_t at = place_of(c.y, n, o, oy, ox);
  float g = t.dy[at];
  int won = 0;
  if (t.place != NULL) {
    won = t.place[(n * c.y.c + o) * c.y.h * c.y.w + i];
    if (won == KERNEL_PLACE_NONE) {
      g = 0;
      won = 0;
    }
  } else if (c.relu && t.y[at] <= 0) {
    g = 0;
  }
  *gy = oy * P + won / P;
  *gx = ox * P + won % P;
  return g;
}

template <int K, int P>
static __device__ void make_dx(const direct &d, const gradients &t) {
  const kernel_conv &c = d.conv;
  float *g = (float *)dynamic_shared();
  int plane = d.gw * d.gh, outputs = c.y.h * c.y.w, ring = K - 1 - c.pad;
  float *taps = g + c.y.c * plane;
  int64_t n = (int)blockIdx.x % d.n;
  int first = (int)blockIdx.x / d.n * d.in_group;
  int group = c.x.c - first < d.in_group ? c.x.c - first : d.in_group;
  for (int i = (int)threadIdx.x; i < c.y.c * plane; i += BLOCK) {
    g[i] = 0;
  }
  for (int i = (int)threadIdx.x; i < c.y.c * group * K * K; i += BLOCK) {
    int k = i % (K * K), ic = i / (K * K) % group, o = i / (K * K) / group;
    taps[i] = t.weight[(o * c.x.c + first + ic) * K * K + K * K - 1 - k];
  }
  __syncthreads();
  for (int i = (int)threadIdx.x; i < c.y.c * outputs; i += BLOCK) {
    int gy, gx;
    float value = won_gradient<P>(c, t, n, i / outputs, i % outputs, &gy, &gx);
    if (gy + ring < d.gh && gx + ring < d.gw) {
      g[i / outputs * plane + (gy + ring) * d.gw + gx + ring] = value;
    }
  }
  __syncthreads();
  int across = (c.x.w + 1) / 2, tiles = across * ((c.x.h + 1) / 2);
  for (int i = (int)threadIdx.x; i < group * tiles; i += BLOCK) {
    int ic = i / tiles, y = i % tiles / across * 2, x = i % tiles % across * 2;
    float sum[4] = {0, 0, 0, 0};
    for (int o = 0; o < c.y.c; o++) {
      window<K, 2>(g + o * plane + y * d.gw + x, d.gw, taps + (o * group + ic) * K * K,
                   sum);
    }
#pragma unroll
    for (int p = 0; p < 4; p++) {
      if (y + p / 2 < c.x.h && x + p % 2 < c.x.w) {
        float *to = t.dx + place_of(c.x, n, first + ic, y + p / 2, x + p % 2);
        *to = t.add_dx ? *to + sum[p] : sum[p];
      }
    }
  }
}

/* Taps are dealt to threads; where there are fewer taps than half a block, several
 * slices of threads share the outputs, and their sums are added in order. */
template <int K, int P>
static __device__ void make_dweight(const direct &d, const gradients &t, int block) {
  const kernel_conv &c = d.conv;
  float *image = (float *)dynamic_shared();
  int plane = d.padded_w * d.padded_h, outputs = c.y.h * c.y.w;
  float *value = image + c.x.c * plane;
  int *where = (int *)(value + outputs);
  float *slice_sum = (float *)(where + outputs);
  int o = block % c.y.c, chunk = block / c.y.c;
  int taps = c.x.c * K * K, all = taps + 1;
  int slices = all < BLOCK ? BLOCK / all : 1;
  int first = chunk * d.chunk, past = first + d.chunk < d.n ? first + d.chunk : d.n;
  int rounds = (all + BLOCK - 1) / BLOCK;
  float sum[2] = {0, 0}; // 16 channels of 5 x 5 make 401 taps: two rounds
  for (int64_t n = first; n < past; n++) {
    __syncthreads();
    load_x(d, t.x, n, image);
    for (int i = (int)threadIdx.x; i < outputs; i += BLOCK) {
      int gy, gx;
      value[i] = won_gradient<P>(c, t, n, o, i, &gy, &gx);
      where[i] = gy * d.padded_w + gx;
    }
    __syncthreads();
    for (int round = 0; round < rounds; round++) {
      int tap = slices > 1 ? (int)threadIdx.x % all : round * BLOCK + (int)threadIdx.x;
      int slice = slices > 1 ? (int)threadIdx.x / all : 0;
      if (tap >= all || slice >= slices) {
        continue;
      }
      int k = tap % (K * K);
      const float *at = image + tap / (K * K) * plane + k / K * d.padded_w + k % K;
      float s = 0;
      for (int i = slice; i < outputs; i += slices) {
        s += value[i] * (tap < taps ? at[where[i]] : 1.0F);
      }
      sum[round == 0 ? 0 : 1] += s;
    }
  }
  slice_sum[threadIdx.x] = sum[0];
  if (rounds > 1) {
    slice_sum[BLOCK + threadIdx.x] = sum[1];
  }
  __syncthreads();
  float *mine = t.partial + ((int64_t)o * d.chunks + chunk) * all;
  for (int tap = (int)threadIdx.x; tap < all; tap += BLOCK) {
    float s = slice_sum[tap];
    for (int i = 1; i < slices; i++) {
      s += slice_sum[i * all + tap];
    }
    mine[tap] = s;
  }
  if (!last_block(t.counter + o, (uint32_t)d.chunks)) {
    return;
  }
  for (int tap = (int)threadIdx.x; tap < all; tap += BLOCK) {
    float s = 0;
    for (int i = 0; i < d.chunks; i++) {
      s += t.partial[((int64_t)o * d.chunks + i) * all + tap];
    }
    if (tap < taps) {
      t.dweight[(int64_t)o * taps + tap] = s;
    } else if (t.dbias != NULL) {
      t.dbias[o] = s;
    }
  }
}

template <int K, int P> static __global__ void backward(direct d, gradients t) {
  int dx_blocks = t.dx != NULL ? d.dx_blocks : 0;
  if ((int)blockIdx.x < dx_blocks) {
    make_dx<K, P>(d, t);
  } else {
    make_dweight<K, P>(d, t, (int)blockIdx.x - dx_blocks);
  }
}

extern "C" size_t kernel_conv_direct_bytes(const struct kernel_conv *conv) {
  direct d;
  if (!plan(conv, 1 << 16, &d)) {
    return 0;
  }
  /* Groups are largest for large batches: what fits there fits always. */
  size_t most = forward_floats(d);
  most = dx_floats(d) > most ? dx_floats(d) : most;
  most = dweight_floats(d) > most ? dweight_floats(d) : most;
  size_t taps = (size_t)conv->x.c * conv->k * conv->k + 1;
  return most * sizeof(float) <= MOST_SHARED
             ? (size_t)conv->y.c * 64 * taps * sizeof(float)
             : 0;
}

extern "C" cudaError_t kernel_conv_direct_forward(const struct kernel_conv *conv,
                                                  int32_t n, const float *x,
                                                  const float *weight, const float *bias,
                                                  float *y, uint8_t *place,
                                                  cudaStream_t stream) {
  direct d;
  if (!plan(conv, n, &d)) {
    return cudaErrorInvalidValue;
  }
  dim3 grid((unsigned)n, (unsigned)up(conv->y.c, d.group));
  size_t shared = forward_floats(d) * sizeof(float);
  auto kernel = conv->k == 3 ? (conv->pool == 1 ? forward<3, 1> : forward<3, 2>)
                             : (conv->pool == 1 ? forward<5, 1> : forward<5, 2>);
  return launch(kernel, grid, BLOCK, shared, stream, d, x, weight, bias, y, place);
}

extern "C" cudaError_t
kernel_conv_direct_backward(const struct kernel_conv *conv, int32_t n, const float *x,
                            const float *weight, const float *y, const float *dy,
                            const uint8_t *place, float *dx, bool add_dx, float *dweight,
                            float *dbias, float *partial, uint32_t *counter,
                            cudaStream_t stream) {
  direct d;
  if (!plan(conv, n, &d)) {
    return cudaErrorInvalidValue;
  }
  gradients t = {x, weight, y, dy, place, dx, dweight, dbias, partial, counter, add_dx};
  size_t floats = dweight_floats(d);
  floats = dx != NULL && dx_floats(d) > floats ? dx_floats(d) : floats;
  int blocks = (dx != NULL ? d.dx_blocks : 0) + conv->y.c * d.chunks;
  auto kernel = conv->k == 3 ? (conv->pool == 1 ? backward<3, 1> : backward<3, 2>)
                             : (conv->pool == 1 ? backward<5, 1> : backward<5, 2>);
  return launch(kernel, dim3((unsigned)blocks), BLOCK, floats * sizeof(float), stream, d,
                t);
}
