/*
 * device.cuh - what the kernels share: the launch, block sums, and the project's random
 * streams as the device computes them.
 *
 * The same sources are also built for the host (PBT_EMULATE, tests/backend/emulator): the
 * emulator supplies threads, barriers and the launch, so that every line of a kernel is
 * checked where there is no GPU.
 */
#ifndef PBT_KERNELS_DEVICE_CUH
#define PBT_KERNELS_DEVICE_CUH

#include "kernels.h"

#ifdef PBT_EMULATE
#include "emulator.h"
#else
#include <cuda_runtime.h>

template <class... P, class... A>
static cudaError_t launch(void (*kernel)(P...), dim3 grid, int block, size_t shared,
                          cudaStream_t stream, A... argument) {
  kernel<<<grid, block, shared, stream>>>(P(argument)...);
  return cudaGetLastError();
}

static __device__ inline void *dynamic_shared() {
  extern __shared__ __align__(16) unsigned char raw[];
  return raw;
}
#endif

enum { WARP = 32 };

static inline int blocks_for(int64_t items, int block, int most) {
  int64_t blocks = (items + block - 1) / block;
  return (int)(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

/* Of a kernel that walks a whole array: enough for any chip.  Few on the emulator, where
 * idle threads cost time, and so that threads walk on. */
#ifdef PBT_EMULATE
enum { MANY_BLOCKS = 4 };
#else
enum { MANY_BLOCKS = 2048 };
#endif

static __device__ inline int64_t thread_index() {
  return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ inline int64_t thread_count() {
  return (int64_t)gridDim.x * blockDim.x;
}

static __host__ __device__ inline int64_t place_of(const kernel_shape &s, int64_t n,
                                                   int c, int y, int x) {
  return n * s.sample + c * s.channel + y * s.row + x * s.column;
}

/* The i-th float of an activation, in the order in which it lies in memory. */
struct position {
  int64_t n;
  int c, y, x;
};

/* Activations hold fewer than 2^31 floats (layer_open sees to it): 32-bit divisions. */
static __device__ inline position position_of(const kernel_shape &s, int64_t index) {
  uint32_t i = (uint32_t)index, sample = (uint32_t)s.sample;
  uint32_t c = (uint32_t)s.c, w = (uint32_t)s.w, h = (uint32_t)s.h;
  position p;
  p.n = i / sample;
  uint32_t rest = i % sample;
  if (s.channels_last) {
    p.c = (int)(rest % c);
    rest /= c;
    p.x = (int)(rest % w);
    p.y = (int)(rest / w);
  } else {
    p.x = (int)(rest % w);
    rest /= w;
    p.y = (int)(rest % h);
    p.c = (int)(rest / h);
  }
  return p;
}

/* The sum over a block, on every thread, in an order that depends on blockDim alone.
 * blockDim is a multiple of 32; `room` holds one double a warp.  All threads call it. */
static __device__ inline double block_sum(double value, double *room) {
  for (int offset = WARP / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffU, value, offset);
  }
  int warps = (int)blockDim.x / WARP;
  __syncthreads(); // room may still be read
  if (threadIdx.x % WARP == 0) {
    room[threadIdx.x / WARP] = value;
  }
  __syncthreads();
  double sum = room[0];
  for (int i = 1; i < warps; i++) {
    sum += room[i];
  }
  return sum;
}

/* True on all threads of the block that comes last of `blocks`; what the others wrote is
 * then to be seen.  Leaves the counter at 0. */
static __device__ inline bool last_block(uint32_t *counter, uint32_t blocks) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1U) == blocks - 1;
    if (last) {
      *counter = 0;
    }
  }
  __syncthreads();
  __threadfence();
  return last;
}

/* ---- base/rng.h on the device ---- */

static __host__ __device__ inline void mul_hi_lo(uint32_t a, uint32_t b, uint32_t *hi,
                                                 uint32_t *lo) {
  uint64_t product = (uint64_t)a * b;
  *hi = (uint32_t)(product >> 32);
  *lo = (uint32_t)product;
}

/* Philox4x32-10 (Salmon et al. 2011): the four words of block `block` of a stream, as
 * base/rng.c counts them. */
static __host__ __device__ inline void philox(uint64_t seed, uint32_t member,
                                              uint32_t purpose, uint64_t step,
                                              uint32_t block, uint32_t word[4]) {
  uint32_t c0 = block, c1 = (uint32_t)step;
  uint32_t c2 = ((uint32_t)(step >> 32) << 16) | purpose, c3 = member;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint32_t hi0, lo0, hi1, lo1;
    mul_hi_lo(0xD2511F53U, c0, &hi0, &lo0);
    mul_hi_lo(0xCD9E8D57U, c2, &hi1, &lo1);
    c0 = hi1 ^ c1 ^ k0;
    c1 = lo1;
    c2 = hi0 ^ c3 ^ k1;
    c3 = lo0;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  word[0] = c0;
  word[1] = c1;
  word[2] = c2;
  word[3] = c3;
}

/* pbt_permutation_open and _at in one. */
static __host__ __device__ inline uint64_t permuted(uint64_t seed, uint32_t member,
                                                    uint32_t purpose, uint64_t step,
                                                    uint64_t n, uint64_t i) {
  uint32_t key[8];
  philox(seed, member, purpose, step, 0, key);
  philox(seed, member, purpose, step, 1, key + 4);
  uint32_t half_bits = 1;
  while (((uint64_t)1 << (2 * half_bits)) < n) {
    half_bits++;
  }
  uint32_t mask = (uint32_t)(((uint64_t)1 << half_bits) - 1);
  do {
    uint32_t left = (uint32_t)(i >> half_bits), right = (uint32_t)i & mask;
    for (int round = 0; round < 8; round++) {
      uint32_t h = (right * 0x9e3779b1U) ^ key[round];
      h = (h ^ h >> 16) * 0x85ebca6bU;
      h = (h ^ h >> 13) * 0xc2b2ae35U;
      uint32_t next = left ^ ((h ^ h >> 16) & mask);
      left = right;
      right = next;
    }
    i = (uint64_t)left << half_bits | right;
  } while (i >= n);
  return i;
}

#endif
