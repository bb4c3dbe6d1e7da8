/*
 * A batch: samples looked up, normalised and, in training, augmented.
 *
 * One block a sample.  Its first thread finds which sample (the position in the stream,
 * through the epoch's permutation); then all threads write its pixels, in the order in
 * which x lies in memory, so writes are coalesced and reads nearly so.
 */
#include "device.cuh"

#include "backend/augment.h"

enum { BLOCK = 256 };

static __global__ void gather(kernel_batch call, float *x, int32_t *label) {
  __shared__ int64_t sample_of_block;
  __shared__ pbt_augment augment;
  const pbt_batch &batch = call.batch;
  const kernel_shape &shape = call.shape;
  const pbt_step *step = batch.step;
  bool augmented = batch.augment && pbt_augments(&step->hyper);
  int i = (int)blockIdx.x;
  if (threadIdx.x == 0) {
    int64_t p = batch.first + step->step * batch.n + i;
    if (augmented) {
      pbt_augment_draw(step, p, shape.h, shape.w, &augment);
    }
    int64_t at = p % batch.count;
    if (batch.shuffle) {
      at = (int64_t)permuted(step->seed, step->member, PBT_RNG_SHUFFLE,
                             (uint64_t)(p / batch.count), (uint64_t)batch.count,
                             (uint64_t)at);
    }
    sample_of_block = batch.begin + at;
    label[i] = call.label[batch.begin + at];
  }
  __syncthreads();
  const uint8_t *pixel = call.pixel + sample_of_block * shape.sample;
  float *to = x + i * shape.sample;
  for (int64_t at = threadIdx.x; at < shape.sample; at += BLOCK) {
    position p = position_of(shape, at);
    const uint8_t *plane = pixel + p.c * shape.h * shape.w;
    float scale = call.scale[p.c], shift = call.shift[p.c];
    uint8_t value = augmented
                        ? pbt_augment_pixel(&augment, plane, shape.h, shape.w,
                                            pbt_augment_mean(scale, shift), p.y, p.x)
                        : plane[p.y * shape.w + p.x];
    to[at] = (float)value * scale + shift;
  }
}

extern "C" cudaError_t kernel_gather(const struct kernel_batch *call, float *x,
                                     int32_t *label, cudaStream_t stream) {
  return launch(gather, dim3((unsigned)call->batch.n), BLOCK, 0, stream, *call, x, label);
}
