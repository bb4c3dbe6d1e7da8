/*
 * backend.h - memory and layer primitives behind one table of functions.
 *
 * A backend holds tensors in a layout of its own and runs one layer at a time over a
 * whole batch.  net/ strings layers together and never looks inside.  Two kinds of memory
 * cross the seam:
 *
 *   canonical  float arrays in the order of base/tensor.h: parameters, gradients,
 * moments, buffers.  They live in one *arena* in backend memory, and `read`/`write` move
 * their bytes between the arena and host memory. activation one batch of samples in the
 * backend's own layout; its size comes from activation_bytes(), and only layer calls
 * touch it.
 *
 * What changes from step to step (step number, hyperparameters) lies in backend memory in
 * a struct pbt_step, so that a backend may record a step once and replay it.  Calls may
 * be asynchronous: read(), and finish(), wait, and several backends may be given work
 * before any is waited for.  Every call is local; none may be used from two threads at
 * once.  Two batches of the same bytes give the same bits
 * (ops->deterministic).  Sums run in a fixed order whatever the number of threads.
 *
 * Samples past `n` in the last block of lanes are padding: they may hold anything finite
 * and never reach a gradient, a loss or a statistic.
 */
#ifndef PBT_BACKEND_BACKEND_H
#define PBT_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h" // struct pbt_permutation
#include "base/status.h"

struct pbt_backend; // opaque; begins with `const struct pbt_backend_ops *ops`
struct pbt_layer;   // opaque: one layer's plan, masks and workspace

/* One sample's shape at some point of the network: c channels of h x w.  A vector is
 * c x 1 x 1.  `halo` zeros stand around each channel, written once when the memory is
 * zeroed and never again: the padding of the convolution that reads it. */
struct pbt_shape {
  int32_t c, h, w;
  int32_t halo;
};

enum pbt_layer_kind {
  PBT_LAYER_CONV,  // optional bias, ReLU, max-pool: y = pool(relu(conv(x) + b))
  PBT_LAYER_DENSE, // + bias, optional ReLU; x flattened in c, y, x order (halo must be 0)
  PBT_LAYER_NORM,  // batch normalisation (Ioffe & Szegedy 2015), optional skip, ReLU:
                   // y = relu(weight (x - mean) / sqrt(variance + 1e-5) + bias + skip)
  PBT_LAYER_ADD,   // y = relu(x + skip), ReLU optional
  PBT_LAYER_POOL,  // maximum or mean of kernel x kernel at stride, no padding
  PBT_LAYER_DROPOUT, // training: each value is 0 with probability step->hyper.dropout,
                     // else times 1 / (1 - dropout); scoring: y = x
  PBT_LAYER_KINDS
};

/* Parameters of a layer, in this order in the arena and in the gradient: weight, bias.
 * CONV weight (out.c, in.c, kernel, kernel), DENSE weight (out.c, in.c * in.h * in.w),
 * NORM weight and bias (in.c); the other kinds have none.
 *
 * A skip is a second input that is added: of y's shape, or, the parameter-free shortcut
 * of He et al. 2015 (option A), of whole times its height and width and fewer channels:
 * then every skip_stride-th row and column of it is added to channels
 * (out.c - skip.c) / 2 and following. */
struct pbt_layer_desc {
  enum pbt_layer_kind kind;
  struct pbt_shape in, out; // out: after the fused pool
  int32_t kernel, stride, pad;
  int32_t pool; // CONV: side and stride of the fused max-pool, 0 none; floor division
  bool relu;
  struct pbt_shape skip; // NORM, ADD; c = 0: none
  bool mean;             // POOL: the mean, not the maximum
  int32_t stream;        // DROPOUT: tells the layers of a network apart
};

/* Which random word drops a value: value v of a sample (in c, y, x order, without halo)
 * of sample i (from 0 in the batch) belongs to word v % 4 of Philox block
 *
 *   stream * PBT_DROPOUT_BLOCKS + i * ceil(c h w / 4) + v / 4
 *
 * of the stream pbt_rng_open(step->seed, step->member, PBT_RNG_DROPOUT, step->step) (that
 * is, struct pbt_rng's `block` before the word is drawn), and is dropped if the word is
 * below floor(dropout * 2^32), dropout taken to double.  What stays is multiplied by
 * 1.0F / (1.0F - dropout).  Backward draws the same words again, and so wants io->step
 * and io->training as they were. */
enum { PBT_DROPOUT_BLOCKS = 1 << 24, PBT_DROPOUT_STREAMS = 256 };

/* The pointers of one call, all in backend memory.  NULL where a call does not want one.
 */
struct pbt_layer_io {
  int32_t n;           // samples, 1 .. max_batch of layer_open
  bool training;       // NORM: this batch's statistics, and buffers moved; DROPOUT: on
  const float *x;      // input activation
  const float *skip;   // second input
  float *y;            // output activation
  const float *weight; // canonical
  const float *bias;   // canonical; CONV: NULL for none
  float *mean;         // NORM: running mean, canonical (c)
  float *variance;     // NORM: running variance, canonical (c), unbiased, as PyTorch's:
                       // each moves by a tenth of the way per training batch
  float *dy;           // gradient of y; backward may overwrite it
  float *dx;           // gradient of x; NULL: not wanted (first layer)
  float *dskip;        // gradient of skip
  bool add_dx, add_dskip;      // added to what is there, else overwritten
  float *dweight;              // canonical, overwritten
  float *dbias;                // canonical, overwritten
  const struct pbt_step *step; // DROPOUT: rate, and the stream (seed, member,
                               // PBT_RNG_DROPOUT, step)
};

/* The numbers that a job fixes or searches. */
struct pbt_hyper {
  float lr;
  float momentum;     // SGD, RMSprop
  float beta1, beta2; // Adam, AdamW
  float smoothing;    // RMSprop: alpha
  float epsilon;      // RMSprop, Adam, AdamW
  float weight_decay;
  float clip_norm; // the gradient's greatest length; 0: any
  float label_smoothing;
  float dropout; // 0 <= rate < 1
  /* Augmentation of training images; 0: none.  backend/augment.h says what each does. */
  float shift;      // pixels, at most so far
  float flip;       // probability of a left-right flip
  float cutout;     // side of the square, pixels
  float rotation;   // degrees, at most so far either way
  float brightness; // share of full scale, at most so far either way
  float contrast;   // factor 1 - c .. 1 + c
};

/* What a step reads besides tensors.  One in backend memory per network, written by
 * write() between steps or slices. */
struct pbt_step {
  int64_t step;  // optimiser steps done so far; the position in the data stream
  uint64_t seed; // with member: whose random streams
  uint32_t member;
  struct pbt_hyper hyper;
};

/* Totals, in backend memory, added to by loss() and read once a slice. */
enum { PBT_MAX_CLASSES = 64 };
struct pbt_tally {
  int64_t count;   // samples
  int64_t correct; // argmax equals label; a NaN logit is never correct
  double loss;     // sum over samples
  /* By class; filled when `by_class` is asked for. */
  int64_t true_positive[PBT_MAX_CLASSES], predicted[PBT_MAX_CLASSES],
      actual[PBT_MAX_CLASSES];
  double class_loss[PBT_MAX_CLASSES]; // sum over the samples of each true class
};

/* A data set as the backend sees it: n images of c x h x w bytes, and labels.  Host
 * memory, borrowed by data_open until data_close. */
struct pbt_images {
  const uint8_t *pixel; // (n, c, h, w)
  const uint8_t *label; // (n)
  int64_t n;
  int32_t c, h, w;
  int32_t n_class;
  float scale[4], shift[4]; // per channel: value = pixel * scale + shift
};
struct pbt_dataset; // opaque: the images where the backend wants them

/* Which samples a batch takes: positions first + step->step * n + i of the stream, i < n.
 * With shuffle, epoch p / count of position p is permuted by pbt_permutation_open(
 * step->seed, step->member, PBT_RNG_SHUFFLE, epoch, count); without, sample = begin + p %
 * count. */
struct pbt_batch {
  const struct pbt_dataset *dataset;
  int64_t begin, count; // the range of samples that the stream runs over
  int64_t first;
  int32_t n;
  bool shuffle;
  bool augment;                // as step->hyper says, each sample by its position
  const struct pbt_step *step; // backend memory
};

struct pbt_loss_io {
  int32_t n, n_class;
  const float *logit;          // activation of shape n_class x 1 x 1
  const int32_t *label;        // (n), backend memory, as gather() left them
  float *dlogit;               // NULL: only score; gradient of the mean loss over n
  const float *class_weight;   // (n_class), backend memory: each sample's share in dlogit
                               // is times that of its class; NULL: 1.  Scores use none
  const struct pbt_step *step; // label_smoothing when dlogit is wanted; scores use none
  struct pbt_tally *tally;     // backend memory, added to
  bool by_class;               // also fill what the tally keeps by class
};

enum pbt_optimizer {
  PBT_SGD, // g += d w; v = momentum v + g; w -= lr v; Nesterov: w -= lr (g + momentum v)
  PBT_RMSPROP, // g += d w; s = a s + (1 - a) g g; v = momentum v + g / (sqrt(s) + eps);
               // w -= lr v (Hinton 2012, as PyTorch's)
  PBT_ADAM, // Kingma & Ba 2015: g += d w; m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g g;
            // w -= lr (m / c1) / (sqrt(s / c2) + eps), c: see `weight_sum`
  PBT_OPTIMIZERS
};

/* One optimiser step over all parameters.  With clip_norm > 0 the gradient is first
 * scaled by min(1, clip_norm / length), the length of the whole gradient summed in
 * double in a fixed order. */
struct pbt_update_io {
  enum pbt_optimizer kind;
  bool nesterov;      // SGD
  bool decoupled;     // d = 0 above and w -= lr weight_decay w first (AdamW, Loshchilov &
                      // Hutter 2019), else d = weight_decay
  int64_t n;          // parameters, contiguous
  float *weight;      // changed
  float *gradient;    // may be changed
  float *moment[2];   // changed.  SGD: v.  RMSPROP: v, s.  ADAM: m, s
  double *weight_sum; // ADAM, changed: c1 = b1 c1 + (1 - b1), c2 likewise, both from 0:
                      // 1 - b^t while b stays the same, and right when b is searched
  const struct pbt_step *step;
};

/* What products are computed in; weights, moments and sums stay float32. */
enum pbt_precision {
  PBT_FLOAT32,
  PBT_TF32, // operands of matrix products and convolutions rounded to 10 bits
  PBT_BF16  // ... to 7 bits
};

enum { PBT_BACKEND_QUEUE = 128 };

/* The device that a backend computes on. */
struct pbt_place {
  char device[64]; // "GPU-0a1b...", no other device has that name
  char text[64];   // "device 0, 138.7 of 139.8 GiB free"
  bool may_share;  // processes share it well (NVIDIA's MPS runs)
};

struct pbt_backend_options {
  int32_t threads;              // of this member, >= 1
  int32_t node_rank;            // cuda: of this rank among those of its node
  enum pbt_precision precision; // cuda; the cpu computes in float32
  const char *isa; // cpu: "avx512", "avx2", "generic"; NULL: PBT_ISA or the best there is
};

struct pbt_backend_ops {
  const char *name;   // "cpu"
  bool deterministic; // the same bits for the same bytes
  bool host_memory;   // its memory may be read and written in place

  /* On failure *backend stays NULL; PBT_ERR_UNAVAILABLE if it is not built in or no
   * device answers, with a message that says which. */
  pbt_status (*open)(const struct pbt_backend_options *options,
                     struct pbt_backend **backend);
  void (*close)(struct pbt_backend *backend); // NULL is fine

  /* "cpu avx512, 1 thread": equal on all ranks or the job ends with 69. */
  const char *(*describe)(const struct pbt_backend *backend);
  /* OPTIONAL: the device of this rank.  NULL: the host's processors. */
  void (*place)(const struct pbt_backend *backend, struct pbt_place *place);

  /* Zeroed, 64-byte aligned backend memory; release(NULL) is fine. */
  pbt_status (*allocate)(struct pbt_backend *backend, size_t bytes, void **memory);
  void (*release)(struct pbt_backend *backend, void *memory);
  /* Host memory to and from backend memory; on return the bytes are there. */
  pbt_status (*write)(struct pbt_backend *backend, void *to, const void *from, size_t n);
  pbt_status (*read)(struct pbt_backend *backend, void *to, const void *from, size_t n);
  /* Within backend memory.  `from` is memory of `source`: this backend itself, or another
   * of the same table and device.  It is read after what source was given to do so far,
   * and before what it is given later. */
  pbt_status (*copy)(struct pbt_backend *backend, void *to, struct pbt_backend *source,
                     const void *from, size_t n);
  /* Waits for all work; a failure of earlier asynchronous work is reported here. */
  pbt_status (*finish)(struct pbt_backend *backend);

  /* Bytes of an activation of max_batch samples. */
  size_t (*activation_bytes)(const struct pbt_backend *backend, struct pbt_shape shape,
                             int32_t max_batch);
  /* Canonical (n, c, h, w) host floats to and from an activation: for tests and tools. */
  pbt_status (*activation_write)(struct pbt_backend *backend, struct pbt_shape shape,
                                 int32_t n, float *to, const float *from);
  pbt_status (*activation_read)(struct pbt_backend *backend, struct pbt_shape shape,
                                int32_t n, float *to, const float *from);

  pbt_status (*data_open)(struct pbt_backend *backend, const struct pbt_images *images,
                          struct pbt_dataset **dataset);
  void (*data_close)(struct pbt_backend *backend, struct pbt_dataset *dataset);
  /* Normalised samples into activation x of shape (c, h, w, halo), labels into label. */
  pbt_status (*gather)(struct pbt_backend *backend, const struct pbt_batch *batch,
                       struct pbt_shape shape, float *x, int32_t *label);

  pbt_status (*layer_open)(struct pbt_backend *backend, const struct pbt_layer_desc *desc,
                           int32_t max_batch, struct pbt_layer **layer);
  void (*layer_close)(struct pbt_backend *backend, struct pbt_layer *layer);
  /* Keeps in the layer what backward needs (masks, places of maxima). */
  pbt_status (*forward)(struct pbt_backend *backend, struct pbt_layer *layer,
                        const struct pbt_layer_io *io);
  /* After forward of the same batch: x, y, weight as they were, dy given. */
  pbt_status (*backward)(struct pbt_backend *backend, struct pbt_layer *layer,
                         const struct pbt_layer_io *io);
  /* "conv 6@5x5 avx512 tiled" or "... plain": which path this layer takes. */
  const char *(*layer_describe)(const struct pbt_layer *layer);

  pbt_status (*loss)(struct pbt_backend *backend, const struct pbt_loss_io *io);
  pbt_status (*update)(struct pbt_backend *backend, const struct pbt_update_io *io);

  /* Runs body(context) once for each of n steps, adding 1 to step->step after each; up to
   * PBT_BACKEND_QUEUE of them without waiting, where calls are asynchronous.  A backend
   * that records calls may run body fewer times: calls with the same `key` (not 0) must
   * do the same work on the same memory, whatever lies in it. */
  pbt_status (*repeat)(struct pbt_backend *backend, uint64_t key, int64_t n,
                       struct pbt_step *step, pbt_status (*body)(void *context),
                       void *context);
};

/* The first member of every concrete backend. */
struct pbt_backend {
  const struct pbt_backend_ops *ops;
};

/* The table for "cpu" or "cuda"; what is not in this build answers open() with
 * PBT_ERR_UNAVAILABLE.  NULL for an unknown name. */
const struct pbt_backend_ops *pbt_backend_find(const char *name);

/* "cpu (avx512, avx2, generic), cuda: not built in" for --version; static storage. */
const char *pbt_backend_list(void);

#endif
