/*
 * kernels.h - what each instruction set builds: one table of functions over lanes.
 *
 * An activation is [block][channel][y][x][16]: 16 samples innermost, so that one register
 * (or two, or four) holds one pixel of 16 samples, weights are scalars that are
 * broadcast, and every convolution loop runs over contiguous whole vectors without
 * shuffles.  Halos are physical zeros.  The sources in isa/ are compiled once per
 * instruction set; a function covers a range of independent units, which is also how
 * threads share work.
 *
 * Every output element is one chain of fused multiply-adds in an order fixed here and not
 * by the register tiles: hence the same bits from AVX-512 and from AVX2.  What is added
 * to a gradient that is already there is added last.
 *
 *   forward   bias, then input channel, ky, kx
 *   dx        output channel, ky, kx
 *   dweight   per lane: block, position (within a pool window row by row); then 16 lanes
 *             by halves
 *   norm      per lane: even and odd columns of a block; then 16 lanes by halves; blocks
 *             in double
 */
#ifndef PBT_BACKEND_CPU_KERNELS_H
#define PBT_BACKEND_CPU_KERNELS_H

#include "backend/backend.h"
#include "backend/cpu/threads.h" // cpu_range

enum { CPU_LANES = 16 };

/* Where a plane stack lies: strides in floats, origin of pixel (0, 0) past the halo. */
struct cpu_stride {
  int64_t row, channel, block, origin;
};

/* A convolution: ic x ih x iw -> oc x ch x cw, pooled to oc x oh x ow. */
struct cpu_conv {
  int32_t ic, ih, iw, oc, ch, cw, oh, ow;
  int32_t k, stride, pad, pool;
  bool relu;
  bool tiled;      // register tiles; else the plain loops
  bool trim;       // dx skips the taps beyond the left and right edge
  bool unpool;     // the gradient before the pool is written out, in `g`
  bool all_blocks; // `g` holds every block, else one for each thread
  struct cpu_stride x, y, g;
  uint8_t *place; // [block][oc][oh][ow][16]: which pool window place won, CPU_PLACE_NONE
  float *g_memory;
  float *x_last; // the ragged last block of x with its padding lanes zeroed
};

enum { CPU_PLACE_NONE = 255, CPU_MAX_POOL = 15 };

struct cpu_conv_call {
  const struct cpu_conv *conv;
  const struct pbt_layer_io *io;
  int32_t blocks;
  const float *x_tail; // the last block of x for dweight: io->x's own, or x_last
  float *lane_sums;    // scratch of conv_dweight_floats()
};

/* A dense layer; weights are (out, in). */
struct cpu_dense {
  int32_t in, out;
  bool relu;
  int32_t in_padded; // row length of x_samples, whole vectors
  float *x_samples;  // [sample][in_padded]: x with lanes and inputs exchanged
};

struct cpu_dense_call {
  const struct cpu_dense *dense;
  const struct pbt_layer_io *io;
  int32_t blocks;
};

/* Batch normalisation with a skip and a ReLU, or these two alone (PBT_LAYER_ADD). */
struct cpu_norm {
  int32_t c, h, w;
  bool add; // PBT_LAYER_ADD: nothing is normalised
  bool relu;
  struct cpu_stride x, y, skip;
  int32_t skip_c, skip_first; // skip's channels, and the first of ours it is added to
  int32_t skip_step;          // every which row and column of it
  double *mean, *inverse;     // of the last forward pass; 1 / sqrt(variance + 1e-5)
};

struct cpu_norm_call {
  const struct cpu_norm *norm;
  const struct pbt_layer_io *io;
  int32_t blocks;
};

struct cpu_pool {
  int32_t c, ih, iw, oh, ow, k, stride;
  bool mean;
  struct cpu_stride x, y;
};

struct cpu_pool_call {
  const struct cpu_pool *pool;
  const struct pbt_layer_io *io;
};

/* Values are numbered within a sample in c, y, x order (backend.h says which random word
 * belongs to which). */
struct cpu_dropout {
  int32_t c, h, w;
  uint32_t stream, quads; // random blocks of four words of one sample
  struct cpu_stride x, y;
};

/* to = from times the mask: y of x, or dx of dy. */
struct cpu_dropout_call {
  const struct cpu_dropout *dropout;
  const struct pbt_step *step; // NULL: nothing is dropped
  const float *from;
  float *to;
  const struct cpu_stride *from_stride, *to_stride;
  bool add;
};

/* One batch's samples, looked up. */
struct cpu_gather_call {
  const struct pbt_images *images;
  const uint8_t *const *image; // (n)
  int32_t n;
  struct cpu_stride stride;
  float *x;
  const struct pbt_step *step; // NULL: not augmented
  int64_t position;            // of the first sample, in the stream
  uint8_t *scratch;            // gather_scratch bytes for each thread
};

/* One optimiser step: what follows from the hyperparameters and the gradient's length. */
enum { CPU_SHARES = 64 }; // in which the length is summed, whatever the threads
struct cpu_update_call {
  const struct pbt_update_io *io;
  float scale;     // of the gradient, below 1 where it is clipped
  float keep;      // of each weight: 1 - lr weight_decay where decay is decoupled, else 1
  float decay;     // weight_decay where it is not, else 0
  float rate;      // lr; ADAM: lr / c1
  float inverse;   // ADAM: 1 / c2
  double *squares; // (CPU_SHARES)
};

struct cpu_kernels {
  const char *name;
  cpu_range *conv_forward;   // struct cpu_conv_call; units: blocks x rows of y
  cpu_range *conv_mask_bias; // units: output channels: dy masked by ReLU, dbias
  cpu_range *conv_dx;        // units: blocks x rows of x
  cpu_range *conv_unpool;    // units: blocks; into g, where all_blocks
  cpu_range *conv_dweight;   // units: conv_dweight_units()
  int32_t (*conv_dweight_units)(const struct cpu_conv *conv);
  int64_t (*conv_dweight_floats)(const struct cpu_conv *conv); // of lane_sums
  int32_t dense_tile;         // outputs or inputs of one unit of the dense functions
  cpu_range *dense_forward;   // units: tiles of outputs
  cpu_range *dense_mask_bias; // units: tiles of outputs: dy masked by ReLU, dbias
  cpu_range *dense_dx;        // units: tiles of inputs
  cpu_range *dense_transpose; // units: blocks; x into x_samples
  cpu_range *dense_dweight;   // units: tiles of outputs
  cpu_range *norm_forward;    // struct cpu_norm_call; units: channels
  cpu_range *norm_backward;   // units: channels
  cpu_range *pool_forward;    // struct cpu_pool_call; units: blocks x channels
  cpu_range *pool_backward;   // units: blocks x channels
  cpu_range *dropout;         // struct cpu_dropout_call; units: blocks
  cpu_range *gather;          // units: blocks
  int64_t (*gather_scratch)(const struct pbt_images *images); // bytes of one thread
  void (*loss)(const struct pbt_loss_io *io);
  cpu_range *update;                // struct cpu_update_call; units: vectors of 16
  cpu_range *update_squares;        // units: CPU_SHARES
  void (*exp)(int32_t n, float *x); // in place, n a multiple of 16; for the tests
};

extern const struct cpu_kernels pbt_cpu_kernels_generic;
#if defined PBT_CPU_X86
extern const struct cpu_kernels pbt_cpu_kernels_avx512;
extern const struct cpu_kernels pbt_cpu_kernels_avx2;
#define PBT_CPU_ISA_LIST "avx512, avx2, generic"
#else
#define PBT_CPU_ISA_LIST "generic"
#endif

static inline int32_t cpu_blocks(int32_t n) {
  return (n + CPU_LANES - 1) / CPU_LANES;
}

#endif
