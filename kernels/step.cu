/* The step count moves on, in the order of the stream. */
#include "device.cuh"

static __global__ void next_step(pbt_step *step) {
  step->step++;
}

extern "C" cudaError_t kernel_next_step(struct pbt_step *step, cudaStream_t stream) {
  return launch(next_step, dim3(1), 1, 0, stream, step);
}
