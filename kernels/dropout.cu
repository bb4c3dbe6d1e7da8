/*
 * Dropout: values kept or dropped by the words of a Philox stream, as backend.h deals
 * them (PBT_DROPOUT_BLOCKS): no mask is stored, backward draws the same words again.
 *
 * One thread takes the four values of one Philox block.
 */
#include "device.cuh"

enum { BLOCK = 256 };

static __global__ void dropout(kernel_shape shape, int n, int stream_id, bool training,
                               const pbt_step *step, const float *from, float *to,
                               bool add) {
  uint32_t quads = (uint32_t)((shape.sample + 3) / 4), all = (uint32_t)n * quads;
  double rate = training ? (double)step->hyper.dropout : 0;
  uint64_t limit = (uint64_t)(rate * 4294967296.0);
  float scale = training ? 1.0F / (1.0F - step->hyper.dropout) : 1.0F;
  uint32_t plane = (uint32_t)(shape.h * shape.w), w = (uint32_t)shape.w;
  for (uint32_t quad = (uint32_t)thread_index(); quad < all;
       quad += (uint32_t)thread_count()) {
    uint32_t word[4] = {0, 0, 0, 0};
    if (limit > 0) {
      philox(step->seed, step->member, PBT_RNG_DROPOUT, (uint64_t)step->step,
             (uint32_t)stream_id * PBT_DROPOUT_BLOCKS + quad, word);
    }
    uint32_t i = quad / quads, first = quad % quads * 4;
    for (uint32_t k = 0; k < 4 && first + k < shape.sample; k++) {
      uint32_t v = first + k;
      int64_t at =
          place_of(shape, i, (int)(v / plane), (int)(v % plane / w), (int)(v % w));
      float value = word[k] < limit ? 0 : from[at] * scale;
      to[at] = add ? to[at] + value : value;
    }
  }
}

extern "C" cudaError_t kernel_dropout(const struct kernel_shape *shape, int32_t n,
                                      int32_t stream_id, bool training,
                                      const struct pbt_step *step, const float *from,
                                      float *to, bool add, cudaStream_t stream) {
  int blocks = blocks_for(n * ((shape->sample + 3) / 4), BLOCK, MANY_BLOCKS);
  return launch(dropout, dim3((unsigned)blocks), BLOCK, 0, stream, *shape, n, stream_id,
                training, step, from, to, add);
}
