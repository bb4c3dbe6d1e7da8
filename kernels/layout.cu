/*
 * The same values in another order of axes, or as bfloat16.
 *
 * Threads follow the order in which the result lies, so writes are coalesced; the planes
 * of small networks come from the cache.  bfloat16 is rounded to nearest, ties to even,
 * by integer arithmetic on the bits; NaN stays NaN.
 */
#include "device.cuh"

enum { BLOCK = 256 };

static __host__ __device__ inline uint16_t bf16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return (uint16_t)(bits >> 16 | 0x40U);
  }
  return (uint16_t)((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

static __host__ __device__ inline float bf16_value(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

static __device__ inline void put(float *to, float value, bool add) {
  *to = add ? *to + value : value;
}

static __device__ inline void put(uint16_t *to, float value, bool) {
  *to = bf16_bits(value);
}

static __device__ inline float get(const float *from) {
  return *from;
}

static __device__ inline float get(const uint16_t *from) {
  return bf16_value(*from);
}

template <class From, class To>
static __global__ void layout(int n, kernel_shape from_shape, const From *from,
                              kernel_shape to_shape, To *to, bool add) {
  int64_t all = n * to_shape.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    position p = position_of(to_shape, i);
    put(to + i, get(from + place_of(from_shape, p.n, p.c, p.y, p.x)), add);
  }
}

template <class From, class To>
static cudaError_t run(int n, const struct kernel_shape *from_shape, const From *from,
                       const struct kernel_shape *to_shape, To *to, bool add,
                       cudaStream_t stream) {
  int blocks = blocks_for(n * to_shape->sample, BLOCK, MANY_BLOCKS);
  return launch(layout<From, To>, dim3((unsigned)blocks), BLOCK, 0, stream, n,
                *from_shape, from, *to_shape, to, add);
}

extern "C" cudaError_t kernel_layout(int32_t n, const struct kernel_shape *from_shape,
                                     const float *from,
                                     const struct kernel_shape *to_shape, float *to,
                                     bool add, cudaStream_t stream) {
  return run(n, from_shape, from, to_shape, to, add, stream);
}

extern "C" cudaError_t kernel_to_bf16(int32_t n, const struct kernel_shape *from_shape,
                                      const float *from,
                                      const struct kernel_shape *to_shape, uint16_t *to,
                                      cudaStream_t stream) {
  return run(n, from_shape, from, to_shape, to, false, stream);
}

extern "C" cudaError_t kernel_from_bf16(int32_t n, const struct kernel_shape *from_shape,
                                        const uint16_t *from,
                                        const struct kernel_shape *to_shape, float *to,
                                        bool add, cudaStream_t stream) {
  return run(n, from_shape, from, to_shape, to, add, stream);
}
