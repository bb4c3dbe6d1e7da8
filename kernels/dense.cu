/*
 * Dense layers as 32 x 32 tiles in shared memory, for products so small that the launch
 * is what a library's call costs.
 *
 *   forward   y = relu(x W' + b)
 *   backward  g = dy where y > 0; dW = g' x, db = sum g, dx = g W: one launch, the first
 *             blocks make dW (and db), the rest dx; each masks what it reads.
 *
 * A block of 16 x 16 threads makes 32 x 32 results, four a thread; sums run over whole
 * tiles in order.
 */
#include "device.cuh"

enum { TILE = 32, SIDE = 16, BLOCK = SIDE * SIDE };

/* result(32 x 32) of sum over k < depth of a(row, k) b(column, k). */
template <class A, class B>
static __device__ inline void tile_product(int depth, A a, B b, float result[2][2]) {
  __shared__ float left[TILE][TILE + 1], right[TILE][TILE + 1]; // [k][row], [k][column]
  int ty = (int)threadIdx.x / SIDE, tx = (int)threadIdx.x % SIDE;
  result[0][0] = result[0][1] = result[1][0] = result[1][1] = 0;
  for (int first = 0; first < depth; first += TILE) {
    for (int i = (int)threadIdx.x; i < TILE * TILE; i += BLOCK) {
      a.load(left, i, first, depth);
      b.load(right, i, first, depth);
    }
    __syncthreads();
    for (int k = 0; k < TILE; k++) {
      float a0 = left[k][ty], a1 = left[k][ty + SIDE];
      float b0 = right[k][tx], b1 = right[k][tx + SIDE];
      result[0][0] += a0 * b0;
      result[0][1] += a0 * b1;
      result[1][0] += a1 * b0;
      result[1][1] += a1 * b1;
    }
    __syncthreads();
  }
}

/* A matrix (rows, depth) that lies row by row: neighbours along depth are neighbours. */
struct along {
  const float *value, *mask; // mask NULL: none; 0 where mask <= 0
  int begin, rows, width;
  __device__ void load(float tile[TILE][TILE + 1], int i, int first, int depth) const {
    int k = i % TILE, row = i / TILE;
    bool inside = begin + row < rows && first + k < depth;
    int64_t at = (int64_t)(begin + row) * width + first + k;
    bool on = inside && (mask == NULL || !(mask[at] <= 0));
    tile[k][row] = on ? value[at] : 0;
  }
};

/* A matrix (depth, rows) that lies row by row. */
struct across {
  const float *value, *mask;
  int begin, rows, width;
  __device__ void load(float tile[TILE][TILE + 1], int i, int first, int depth) const {
    int row = i % TILE, k = i / TILE;
    bool inside = begin + row < rows && first + k < depth;
    int64_t at = (int64_t)(first + k) * width + begin + row;
    bool on = inside && (mask == NULL || !(mask[at] <= 0));
    tile[k][row] = on ? value[at] : 0;
  }
};

static __global__ void forward(int n, int in, int out, bool relu, const float *x,
                               const float *weight, const float *bias, float *y) {
  float result[2][2];
  int row = (int)blockIdx.y * TILE, column = (int)blockIdx.x * TILE;
  along a = {x, NULL, row, n, in}, b = {weight, NULL, column, out, in};
  tile_product(in, a, b, result);
  for (int i = 0; i < 4; i++) {
    int r = row + (int)threadIdx.x / SIDE + i / 2 * SIDE;
    int c = column + (int)threadIdx.x % SIDE + i % 2 * SIDE;
    if (r < n && c < out) {
      float v = result[i / 2][i % 2] + (bias != NULL ? bias[c] : 0);
      y[(int64_t)r * out + c] = relu && v <= 0 ? 0 : v;
    }
  }
}

static __device__ void put(float *to, int rows, int columns, int row, int column,
                           const float result[2][2], bool add) {
  for (int i = 0; i < 4; i++) {
    int r = row + (int)threadIdx.x / SIDE + i / 2 * SIDE;
    int c = column + (int)threadIdx.x % SIDE + i % 2 * SIDE;
    if (r < rows && c < columns) {
      float *at = to + (int64_t)r * columns + c;
      *at = add ? *at + result[i / 2][i % 2] : result[i / 2][i % 2];
    }
  }
}

struct backward_call {
  int n, in, out;
  const float *x, *weight, *y, *dy; // y NULL: no ReLU
  float *dx, *dweight, *dbias;
  bool add_dx;
  int weight_blocks; // the first ones
};

static __global__ void backward(backward_call c) {
  float result[2][2];
  int tiles = (c.in + TILE - 1) / TILE, block = (int)blockIdx.x;
  if (block >= c.weight_blocks) {
    block -= c.weight_blocks;
    int row = block / tiles * TILE, column = block % tiles * TILE;
    along g = {c.dy, c.y, row, c.n, c.out};
    across w = {c.weight, NULL, column, c.in, c.in};
    tile_product(c.out, g, w, result);
    put(c.dx, c.n, c.in, row, column, result, c.add_dx);
    return;
  }
  int row = block / tiles * TILE, column = block % tiles * TILE;
  across g = {c.dy, c.y, row, c.out, c.out}, x = {c.x, NULL, column, c.in, c.in};
  tile_product(c.n, g, x, result);
  put(c.dweight, c.out, c.in, row, column, result, false);
  int o = row + (int)threadIdx.x;
  if (column == 0 && threadIdx.x < TILE && o < c.out && c.dbias != NULL) {
    float sum = 0;
    for (int i = 0; i < c.n; i++) {
      int64_t at = (int64_t)i * c.out + o;
      sum += c.y == NULL || !(c.y[at] <= 0) ? c.dy[at] : 0;
    }
    c.dbias[o] = sum;
  }
}

/* One block for 32 outputs: a warp a sample, a lane an output. */
static __global__ void mask_bias(int n, int out, bool relu, const float *y, float *dy,
                                 float *dbias) {
  __shared__ float partial[BLOCK / WARP][WARP];
  int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
  int o = (int)blockIdx.x * WARP + lane;
  float sum = 0;
  for (int i = warp; i < n && o < out; i += BLOCK / WARP) {
    int64_t at = (int64_t)i * out + o;
    float g = dy[at];
    if (relu && y[at] <= 0) {
      g = dy[at] = 0;
    }
    sum += g;
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp == 0 && o < out && dbias != NULL) {
    for (int i = 1; i < BLOCK / WARP; i++) {
      sum += partial[i][lane];
    }
    dbias[o] = sum;
  }
}

static int tiles_of(int32_t n) {
  return (n + TILE - 1) / TILE;
}

extern "C" cudaError_t kernel_dense_forward(int32_t n, int32_t in, int32_t out, bool relu,
                                            const float *x, const float *weight,
                                            const float *bias, float *y,
                                            cudaStream_t stream) {
  dim3 grid((unsigned)tiles_of(out), (unsigned)tiles_of(n));
  return launch(forward, grid, BLOCK, 0, stream, n, in, out, relu, x, weight, bias, y);
}

extern "C" cudaError_t kernel_dense_backward(int32_t n, int32_t in, int32_t out,
                                             const float *x, const float *weight,
                                             const float *y, const float *dy, float *dx,
                                             bool add_dx, float *dweight, float *dbias,
                                             cudaStream_t stream) {
  backward_call call = {n,  in, out,     x,     weight, y,
                        dy, dx, dweight, dbias, add_dx, tiles_of(out) * tiles_of(in)};
  int dx_blocks = dx != NULL ? tiles_of(n) * tiles_of(in) : 0;
  return launch(backward, dim3((unsigned)(call.weight_blocks + dx_blocks)), BLOCK, 0,
                stream, call);
}

extern "C" cudaError_t kernel_dense_mask_bias(int32_t n, int32_t out, bool relu,
                                              const float *y, float *dy, float *dbias,
                                              cudaStream_t stream) {
  return launch(mask_bias, dim3((unsigned)((out + WARP - 1) / WARP)), BLOCK, 0, stream, n,
                out, relu, y, dy, dbias);
}
