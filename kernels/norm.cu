/*
 * Batch normalisation (Ioffe & Szegedy 2015), the skip and the ReLU fused: two launches
 * each way.
 *
 *   forward   statistics: per channel the sums of x and x^2 in double, over blocks in
 *             order; the last block of a channel makes mean and 1 / deviation and moves
 *             the running ones.  apply: y = relu(w (x - mean) / deviation + b + skip).
 *   backward  with g = dy where the ReLU was on and x^ = (x - mean) / deviation:
 *             sums: dbias = sum g, dweight = sum g x^.  apply: dskip = g,
 *             dx = w / deviation (g - mean(g) - x^ mean(g x^)).
 *
 * dx may lie where dskip or dy lies only if the caller says so by equal pointers: each
 * element is read before it is written, by the same thread.
 */
#include "skip.cuh"

enum { BLOCK = 256 };
static const float epsilon = 1e-5F;
static const float momentum = 0.1F;

extern "C" int32_t kernel_norm_blocks(const struct kernel_norm *norm, int32_t max_batch) {
  int64_t values = (int64_t)max_batch * norm->shape.h * norm->shape.w;
  int64_t blocks = (values + 8 * BLOCK - 1) / (8 * BLOCK);
  int64_t most = norm->shape.c < 512 ? 1024 / norm->shape.c : 2;
  return (int32_t)(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

/* Sums of a(i) and b(i) over the values i of channel blockIdx.y; true on the block that
 * holds both totals. */
template <class Pair>
static __device__ bool channel_sums(const kernel_shape &s, int n, kernel_sums sums,
                                    double *a, double *b, Pair pair) {
  __shared__ double room[BLOCK / WARP];
  int c = (int)blockIdx.y;
  uint32_t plane = (uint32_t)(s.h * s.w), all = (uint32_t)n * plane;
  *a = *b = 0;
  for (uint32_t i = (uint32_t)thread_index(); i < all; i += (uint32_t)thread_count()) {
    int64_t at = i / plane * s.sample + c * s.channel + i % plane * s.column;
    pair(at, a, b);
  }
  *a = block_sum(*a, room);
  *b = block_sum(*b, room);
  double *mine = sums.partial + 2 * ((int64_t)c * gridDim.x);
  if (threadIdx.x == 0) {
    mine[2 * blockIdx.x] = *a;
    mine[2 * blockIdx.x + 1] = *b;
  }
  if (!last_block(sums.counter + c, gridDim.x)) {
    return false;
  }
  *a = *b = 0;
  for (unsigned i = 0; i < gridDim.x; i++) {
    *a += mine[2 * i];
    *b += mine[2 * i + 1];
  }
  return threadIdx.x == 0;
}

static __global__ void statistics(kernel_norm norm, pbt_layer_io io, float *saved,
                                  kernel_sums sums) {
  int c = (int)blockIdx.y;
  double sum, square;
  /* Around the running mean, so that the difference of squares loses nothing. */
  double origin = (double)io.mean[c];
  bool mine = channel_sums(norm.shape, io.n, sums, &sum, &square,
                           [&](int64_t at, double *a, double *b) {
                             double v = (double)io.x[at] - origin;
                             *a += v;
                             *b += v * v;
                           });
  if (mine) {
    double count = (double)io.n * norm.shape.h * norm.shape.w;
    double mean = sum / count, variance = square / count - mean * mean;
    variance = variance < 0 ? 0 : variance;
    double unbiased = count > 1 ? variance * count / (count - 1) : variance;
    saved[c] = (float)(origin + mean);
    saved[norm.shape.c + c] = (float)(1 / sqrt(variance + (double)epsilon));
    io.mean[c] = (1 - momentum) * io.mean[c] + momentum * (float)(origin + mean);
    io.variance[c] = (1 - momentum) * io.variance[c] + momentum * (float)unbiased;
  }
}

static __global__ void forward(kernel_norm norm, pbt_layer_io io, const float *saved) {
  int64_t all = io.n * norm.shape.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    position p = position_of(norm.shape, i);
    float mean = io.training ? saved[p.c] : io.mean[p.c];
    float inverse = io.training
                        ? saved[norm.shape.c + p.c]
                        : (float)(1 / sqrt((double)io.variance[p.c] + (double)epsilon));
    float v = io.weight[p.c] * ((io.x[i] - mean) * inverse) + io.bias[p.c] +
              skip_at(norm, io.skip, p);
    io.y[i] = norm.relu && v <= 0 ? 0 : v;
  }
}

static __global__ void gradient_sums(kernel_norm norm, pbt_layer_io io,
                                     const float *saved, float *means, kernel_sums sums) {
  int c = (int)blockIdx.y, channels = norm.shape.c;
  float mean = saved[c], inverse = saved[channels + c];
  double sum, product;
  bool mine = channel_sums(norm.shape, io.n, sums, &sum, &product,
                           [&](int64_t at, double *a, double *b) {
                             float g = norm.relu && io.y[at] <= 0 ? 0 : io.dy[at];
                             *a += (double)g;
                             *b += (double)g * (double)((io.x[at] - mean) * inverse);
                           });
  if (mine) {
    double count = (double)io.n * norm.shape.h * norm.shape.w;
    io.dbias[c] = (float)sum;
    io.dweight[c] = (float)product;
    means[c] = (float)(sum / count);
    means[channels + c] = (float)(product / count);
  }
}

static __global__ void backward(kernel_norm norm, pbt_layer_io io, const float *saved,
                                const float *means) {
  int channels = norm.shape.c;
  auto gradient = [&](int64_t i) { return norm.relu && io.y[i] <= 0 ? 0 : io.dy[i]; };
  if (io.dskip != NULL) {
    skip_back(norm, io.n, gradient, io.dskip, io.add_dskip);
  }
  if (io.dx == NULL) {
    return;
  }
  int64_t all = io.n * norm.shape.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    int c = position_of(norm.shape, i).c;
    float inverse = saved[channels + c];
    float unit = (io.x[i] - saved[c]) * inverse;
    float d =
        io.weight[c] * inverse * (gradient(i) - means[c] - unit * means[channels + c]);
    io.dx[i] = io.add_dx ? io.dx[i] + d : d;
  }
}

static unsigned blocks_of(const struct kernel_norm *norm, int32_t n) {
  int64_t most =
      norm->skip.sample > norm->shape.sample ? norm->skip.sample : norm->shape.sample;
  return (unsigned)blocks_for(n * most, BLOCK, MANY_BLOCKS);
}

extern "C" cudaError_t kernel_norm_forward(const struct kernel_norm *norm,
                                           const struct pbt_layer_io *io, float *saved,
                                           int32_t blocks, const struct kernel_sums *sums,
                                           cudaStream_t stream) {
  if (io->training) {
    dim3 grid((unsigned)blocks, (unsigned)norm->shape.c);
    cudaError_t error =
        launch(statistics, grid, BLOCK, 0, stream, *norm, *io, saved, *sums);
    if (error != cudaSuccess) {
      return error;
    }
  }
  return launch(forward, dim3(blocks_of(norm, io->n)), BLOCK, 0, stream, *norm, *io,
                (const float *)saved);
}

extern "C" cudaError_t
kernel_norm_backward(const struct kernel_norm *norm, const struct pbt_layer_io *io,
                     const float *saved, float *means, int32_t blocks,
                     const struct kernel_sums *sums, cudaStream_t stream) {
  dim3 grid((unsigned)blocks, (unsigned)norm->shape.c);
  cudaError_t error =
      launch(gradient_sums, grid, BLOCK, 0, stream, *norm, *io, saved, means, *sums);
  if (error != cudaSuccess) {
    return error;
  }
  return launch(backward, dim3(blocks_of(norm, io->n)), BLOCK, 0, stream, *norm, *io,
                saved, (const float *)means);
}
