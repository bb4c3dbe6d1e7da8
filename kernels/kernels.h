/*
 * kernels.h - what the CUDA backend launches: one operation a .cu file, plain C here.
 *
 * Every launcher queues its work on `stream` and returns without waiting.  All pointers
 * but those to the structs of a call are device memory.  Nothing is allocated, and
 * whatever changes from step to step is read from device memory (struct pbt_step), so
 * every launch may be recorded in a graph.
 *
 * Sums run in a fixed order: blocks leave partial sums in scratch memory, and the block
 * that comes last adds them up, always in the same order.  No float atomics.
 */
#ifndef PBT_KERNELS_H
#define PBT_KERNELS_H

#include <cuda_runtime_api.h>

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where an activation lies: strides in floats.  Rows of an activation have no halo. */
struct kernel_shape {
  int32_t c, h, w;
  int32_t channels_last; // (n, h, w, c) instead of (n, c, h, w)
  int64_t sample, channel, row, column;
};

/* Scratch of launchers that sum over blocks: partial sums and a counter of the blocks
 * that are done, which must be 0 and is left 0. */
enum { KERNEL_MAX_PARTIALS = 512, KERNEL_MAX_COUNTERS = 4096 };
struct kernel_sums {
  double *partial;
  uint32_t *counter;
};

/* Samples of a data set on the device into x, their labels into `label`. */
struct kernel_batch {
  const uint8_t *pixel, *label; // (n, c, h, w), (n)
  float scale[4], shift[4];
  struct pbt_batch batch; // `dataset` unused
  struct kernel_shape shape;
};
cudaError_t kernel_gather(const struct kernel_batch *call, float *x, int32_t *label,
                          cudaStream_t stream);

/* A convolution ic x ih x iw -> oc x ch x cw, pooled (1: not) to oc x oh x ow. */
struct kernel_conv {
  struct kernel_shape x, y; // y after the pool
  int32_t ch, cw;
  int32_t k, stride, pad, pool;
  bool relu;
};
/* Place of the maximum within its window, row by row; NONE where the ReLU was off. */
enum { KERNEL_PLACE_NONE = 255, KERNEL_MAX_POOL = 15 };

/* Direct kernels for few channels: x, weights and gradient of a sample in shared memory.
 * Bytes of `partial` that backward wants; 0: not for this shape. */
size_t kernel_conv_direct_bytes(const struct kernel_conv *conv);
cudaError_t kernel_conv_direct_forward(const struct kernel_conv *conv, int32_t n,
                                       const float *x, const float *weight,
                                       const float *bias, float *y, uint8_t *place,
                                       cudaStream_t stream);
/* place: NULL where there is no pool (then y tells where the ReLU was off). */
cudaError_t kernel_conv_direct_backward(const struct kernel_conv *conv, int32_t n,
                                        const float *x, const float *weight,
                                        const float *y, const float *dy,
                                        const uint8_t *place, float *dx, bool add_dx,
                                        float *dweight, float *dbias, float *partial,
                                        uint32_t *counter, cudaStream_t stream);

/* Any shape, one thread an output: slow and simple.  g: gradient before the pool, in y's
 * order of axes, ch x cw. */
cudaError_t kernel_conv_plain_forward(const struct kernel_conv *conv, int32_t n,
                                      const float *x, const float *weight,
                                      const struct kernel_shape *z_shape, float *z,
                                      cudaStream_t stream);
cudaError_t kernel_conv_plain_dx(const struct kernel_conv *conv, int32_t n,
                                 const float *weight, const struct kernel_shape *g_shape,
                                 const float *g, float *dx, bool add_dx,
                                 cudaStream_t stream);
cudaError_t kernel_conv_plain_dweight(const struct kernel_conv *conv, int32_t n,
                                      const float *x, const struct kernel_shape *g_shape,
                                      const float *g, float *dweight,
                                      cudaStream_t stream);

/* What follows a convolution z (oc x ch x cw): bias (NULL: none), ReLU, pool.  z may be y
 * itself where there is no pool. */
cudaError_t kernel_epilogue_forward(const struct kernel_conv *conv, int32_t n,
                                    const struct kernel_shape *z_shape, const float *z,
                                    const float *bias, float *y, uint8_t *place,
                                    cudaStream_t stream);
/* dy to g, the gradient of z; g may be dy itself where there is no pool. */
cudaError_t kernel_epilogue_backward(const struct kernel_conv *conv, int32_t n,
                                     const float *y, const float *dy,
                                     const uint8_t *place,
                                     const struct kernel_shape *g_shape, float *g,
                                     cudaStream_t stream);
/* dbias[c] = sum of g over samples, rows and columns. */
cudaError_t kernel_bias_gradient(const struct kernel_shape *shape, int32_t n,
                                 const float *g, float *dbias, cudaStream_t stream);

/* Dense layers as tiles, for products too small for a library call.  x (n, in), weight
 * (out, in), y (n, out). */
cudaError_t kernel_dense_forward(int32_t n, int32_t in, int32_t out, bool relu,
                                 const float *x, const float *weight, const float *bias,
                                 float *y, cudaStream_t stream);
/* All gradients in one launch; dx NULL: not wanted; y NULL: no ReLU. */
cudaError_t kernel_dense_backward(int32_t n, int32_t in, int32_t out, const float *x,
                                  const float *weight, const float *y, const float *dy,
                                  float *dx, bool add_dx, float *dweight, float *dbias,
                                  cudaStream_t stream);
/* For a library's products: dy masked by the ReLU in place, and dbias. */
cudaError_t kernel_dense_mask_bias(int32_t n, int32_t out, bool relu, const float *y,
                                   float *dy, float *dbias, cudaStream_t stream);

/* Batch normalisation; `shape` of x and y, `skip` with c = 0 for none. */
struct kernel_norm {
  struct kernel_shape shape, skip;
  int32_t skip_stride;
  bool relu;
};
/* Blocks a channel, and so partial sums: 2 x c x blocks doubles, c counters. */
int32_t kernel_norm_blocks(const struct kernel_norm *norm, int32_t max_batch);
/* saved: (2, c), mean and 1 / deviation of this batch, kept for backward. */
cudaError_t kernel_norm_forward(const struct kernel_norm *norm,
                                const struct pbt_layer_io *io, float *saved,
                                int32_t blocks, const struct kernel_sums *sums,
                                cudaStream_t stream);
cudaError_t kernel_norm_backward(const struct kernel_norm *norm,
                                 const struct pbt_layer_io *io, const float *saved,
                                 float *means, int32_t blocks,
                                 const struct kernel_sums *sums, cudaStream_t stream);

/* y = relu(x + skip); the gradients' halves likewise. */
cudaError_t kernel_add_forward(const struct kernel_norm *add,
                               const struct pbt_layer_io *io, cudaStream_t stream);
cudaError_t kernel_add_backward(const struct kernel_norm *add,
                                const struct pbt_layer_io *io, cudaStream_t stream);

struct kernel_pool {
  struct kernel_shape x, y;
  int32_t kernel, stride;
  bool mean;
};
cudaError_t kernel_pool_forward(const struct kernel_pool *pool, int32_t n, const float *x,
                                float *y, uint16_t *place, cudaStream_t stream);
cudaError_t kernel_pool_backward(const struct kernel_pool *pool, int32_t n,
                                 const float *dy, const uint16_t *place, float *dx,
                                 bool add_dx, cudaStream_t stream);

/* from -> to, times the mask of (step, stream); the same mask both ways. */
cudaError_t kernel_dropout(const struct kernel_shape *shape, int32_t n, int32_t stream_id,
                           bool training, const struct pbt_step *step, const float *from,
                           float *to, bool add, cudaStream_t stream);

/* One block; logits (n, n_class). */
cudaError_t kernel_loss(const struct pbt_loss_io *io, cudaStream_t stream);

/* prepare: the gradient's scale and Adam's weight sums; then apply.  state[0]: scale. */
cudaError_t kernel_update(const struct pbt_update_io *io, float *state,
                          const struct kernel_sums *sums, cudaStream_t stream);

/* The same values in another order of axes. */
cudaError_t kernel_layout(int32_t n, const struct kernel_shape *from_shape,
                          const float *from, const struct kernel_shape *to_shape,
                          float *to, bool add, cudaStream_t stream);
/* Rounded to the nearest bfloat16 (an unsigned short's bits) and back. */
cudaError_t kernel_to_bf16(int32_t n, const struct kernel_shape *from_shape,
                           const float *from, const struct kernel_shape *to_shape,
                           uint16_t *to, cudaStream_t stream);
cudaError_t kernel_from_bf16(int32_t n, const struct kernel_shape *from_shape,
                             const uint16_t *from, const struct kernel_shape *to_shape,
                             float *to, bool add, cudaStream_t stream);

/* step->step++ */
cudaError_t kernel_next_step(struct pbt_step *step, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
