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
 * be asynchronous: read(), and finish(), wait.  Every call is local; none may be used
 * from two threads at once.  Two batches of the same bytes give the same bits
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
  PBT_LAYER_CONV, // + bias, optional ReLU, optional max-pool: y = pool(relu(conv(x) + b))
  PBT_LAYER_DENSE, // + bias, optional ReLU; x flattened in c, y, x order (halo must be 0)
  PBT_LAYER_KINDS
};

/* Parameters of a layer, in this order in the arena and in the gradient: weight, bias.
 * CONV weight (out.c, in.c, kernel, kernel), DENSE weight (out.c, in.c * in.h * in.w). */
struct pbt_layer_desc {
  enum pbt_layer_kind kind;
  struct pbt_shape in, out; // out: after the fused pool
  int32_t kernel, stride, pad;
  int32_t pool; // side and stride of the fused max-pool, 0 none; floor division
  bool relu;
};

/* The pointers of one call, all in backend memory.  NULL where a call does not want one.
 */
struct pbt_layer_io {
  int32_t n;           // samples, 1 .. max_batch of layer_open
  const float *x;      // input activation
  float *y;            // output activation
  const float *weight; // canonical
  const float *bias;   // canonical
  float *dy;           // gradient of y; backward may overwrite it
  float *dx;           // gradient of x, overwritten; NULL: not wanted (first layer)
  float *dweight;      // canonical, overwritten
  float *dbias;        // canonical, overwritten
};

/* What a step reads besides tensors.  One in backend memory per network, written by
 * write() between steps or slices. */
struct pbt_step {
  int64_t step; // optimiser steps done so far; the position in the data stream
  float lr, momentum, weight_decay, label_smoothing;
};

/* Totals, in backend memory, added to by loss() and read once a slice. */
enum { PBT_MAX_CLASSES = 64 };
struct pbt_tally {
  int64_t count;   // samples
  int64_t correct; // argmax equals label; a NaN logit is never correct
  double loss;     // sum over samples
  int64_t true_positive[PBT_MAX_CLASSES], predicted[PBT_MAX_CLASSES],
      actual[PBT_MAX_CLASSES]; // for macro-F1; filled when `confusion` is asked for
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

/* Which samples a batch takes: position first + i of the stream, i < n.  With shuffle,
 * epoch p / count of position p is permuted by pbt_permutation_open(seed, member,
 * PBT_RNG_SHUFFLE, epoch, count); without, sample = begin + p % count. */
struct pbt_batch {
  const struct pbt_dataset *dataset;
  int64_t begin, count; // the range of samples that the stream runs over
  int32_t n;
  bool shuffle;
  uint64_t seed;
  uint32_t member;
  const struct pbt_step *step; // backend memory; with shuffle, first = step->step * n
  int64_t first;               // without shuffle
};

struct pbt_loss_io {
  int32_t n, n_class;
  const float *logit;          // activation of shape n_class x 1 x 1
  const int32_t *label;        // (n), backend memory, as gather() left them
  float *dlogit;               // NULL: only score; gradient of the mean loss over n
  const struct pbt_step *step; // label_smoothing when dlogit is wanted; scores use none
  struct pbt_tally *tally;     // backend memory, added to
  bool confusion;              // also fill the per-class counts
};

struct pbt_update_io {
  int64_t n;     // parameters, contiguous
  float *weight; // changed
  const float *gradient;
  float *moment;               // SGD: velocity, changed
  const struct pbt_step *step; // v = momentum v + (g + weight_decay w); w -= lr v
};

struct pbt_backend_options {
  int32_t threads; // of this member, >= 1
  const char *isa; // cpu: "avx512", "avx2", "generic"; NULL: PBT_ISA or the best there is
};

struct pbt_backend_ops {
  const char *name;   // "cpu"
  bool deterministic; // the same bits for the same bytes

  /* On failure *backend stays NULL; PBT_ERR_UNAVAILABLE if it is not built in or no
   * device answers, with a message that says which. */
  pbt_status (*open)(const struct pbt_backend_options *options,
                     struct pbt_backend **backend);
  void (*close)(struct pbt_backend *backend); // NULL is fine

  /* "cpu avx512, 1 thread": equal on all ranks or the job ends with 69. */
  const char *(*describe)(const struct pbt_backend *backend);

  /* Zeroed, 64-byte aligned backend memory; release(NULL) is fine. */
  pbt_status (*allocate)(struct pbt_backend *backend, size_t bytes, void **memory);
  void (*release)(struct pbt_backend *backend, void *memory);
  /* Host memory to and from backend memory; on return the bytes are there. */
  pbt_status (*write)(struct pbt_backend *backend, void *to, const void *from, size_t n);
  pbt_status (*read)(struct pbt_backend *backend, void *to, const void *from, size_t n);
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
  /* "conv 6@5x5 avx512 fused pool" or "... plain": which path this layer takes. */
  const char *(*layer_describe)(const struct pbt_layer *layer);

  pbt_status (*loss)(struct pbt_backend *backend, const struct pbt_loss_io *io);
  pbt_status (*update_sgd)(struct pbt_backend *backend, const struct pbt_update_io *io);

  /* Runs body(context) once for each of n steps, adding 1 to step->step after each.  A
   * backend that records calls may run body fewer times. */
  pbt_status (*repeat)(struct pbt_backend *backend, int64_t n, struct pbt_step *step,
                       pbt_status (*body)(void *context), void *context);
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
