/*
 * emulator.h - CUDA's threads, barriers and launches on the host, so that the kernels'
 * own lines are run and checked where there is no GPU.
 *
 * A launch runs block after block; a block's threads are coroutines that take turns at
 * barriers and warp exchanges.  What is not shown by it: races, memory order, speed, and
 * whatever the device's arithmetic does in its own way (fused multiply-adds, expf).
 */
#ifndef PBT_EMULATOR_H
#define PBT_EMULATOR_H

#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#undef __shared__
#define __shared__ static

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void __syncthreads();
void emulator_exchange(const void *mine, int lane_mask, void *theirs, size_t bytes);
void *dynamic_shared();

static inline void __threadfence() {
}

template <class T> static inline T __shfl_xor_sync(unsigned, T value, int mask) {
  T other;
  emulator_exchange(&value, mask, &other, sizeof other);
  return other;
}

static inline uint32_t atomicAdd(uint32_t *at, uint32_t value) {
  uint32_t before = *at;
  *at += value;
  return before;
}

/* To so many significant binary digits, ties to even: 11 are TF32, 8 bfloat16. */
double emulator_round(double value, int digits);

/* Runs when the host waits for the stream, or as often as the graph that is being
 * captured is launched. */
cudaError_t emulator_launch(dim3 grid, int block, size_t shared, cudaStream_t stream,
                            std::function<void()> thread);

template <class... P, class... A>
static cudaError_t launch(void (*kernel)(P...), dim3 grid, int block, size_t shared,
                          cudaStream_t stream, A... argument) {
  return emulator_launch(grid, block, shared, stream, [=] { kernel((P)argument...); });
}

#endif
