/* skip.cuh - the second input of NORM and ADD (backend.h: struct pbt_layer_desc). */
#ifndef PBT_KERNELS_SKIP_CUH
#define PBT_KERNELS_SKIP_CUH

#include "device.cuh"

/* What the skip adds to output (n, c, y, x): every skip_stride-th row and column, its
 * channels in the middle of the output's. */
static __device__ inline float skip_at(const kernel_norm &layer, const float *skip,
                                       const position &p) {
  int c = p.c - (layer.shape.c - layer.skip.c) / 2;
  if (layer.skip.c == 0 || c < 0 || c >= layer.skip.c) {
    return 0;
  }
  int s = layer.skip_stride;
  return skip[place_of(layer.skip, p.n, c, p.y * s, p.x * s)];
}

/* The gradient of skip (n, c, y, x), given that of the sum. */
template <class Gradient>
static __device__ inline void skip_back(const kernel_norm &layer, int n,
                                        Gradient gradient, float *dskip, bool add) {
  int s = layer.skip_stride, first = (layer.shape.c - layer.skip.c) / 2;
  int64_t all = n * layer.skip.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    position p = position_of(layer.skip, i);
    bool taken = p.y % s == 0 && p.x % s == 0 && p.y / s < layer.shape.h &&
                 p.x / s < layer.shape.w;
    float g =
        taken ? gradient(place_of(layer.shape, p.n, p.c + first, p.y / s, p.x / s)) : 0;
    dskip[i] = add ? dskip[i] + g : g;
  }
}

#endif
