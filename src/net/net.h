/*
 * net.h - networks as layer lists a person can read, and the step that trains them.
 *
 * A network owns its activations and workspace, its layers' plans, and one arena in
 * backend memory that holds weights, moments, running statistics and the step count as
 * the tensors of base/tensor.h.  Several networks may share a backend.  Everything is
 * local.
 */
#ifndef PBT_NET_NET_H
#define PBT_NET_NET_H

#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h" // layers, struct pbt_step, struct pbt_tally
#include "base/tensor.h"     // struct pbt_state

enum { PBT_MAX_LAYERS = 64, PBT_LAYER_NAME = 24 };

/* One line of a layer list.  A layer reads what the one before it writes, and may add
 * what an earlier one wrote (`skip`).  A convolution that a norm reads has no bias: the
 * norm would take it out again. */
struct pbt_net_layer {
  enum pbt_layer_kind kind;
  char name[PBT_LAYER_NAME]; // "conv1": its tensors are conv1/weight, conv1/bias
  int32_t out;               // CONV, DENSE: channels or units
  int32_t kernel;            // CONV, POOL; POOL: 0: the whole image
  int32_t stride, pad;       // CONV; POOL: stride
  int32_t pool;              // CONV: fused max-pool side, 0 none
  bool relu;
  bool mean;                 // POOL
  char skip[PBT_LAYER_NAME]; // NORM, ADD: the layer whose output is added; "" none
};

struct pbt_net_spec {
  char name[32];
  struct pbt_shape in; // of one image; halo ignored
  int32_t n_class;
  int32_t n_layer;
  struct pbt_net_layer layer[PBT_MAX_LAYERS];
};

/* A network from its layer list in words, one layer an entry:
 *
 *   conv OUT KxK [stride N] [pad N] [relu] [pool N]
 *   dense OUT [relu]                  OUT: a number, or `classes`
 *   norm [add NAME] [relu]
 *   add NAME [relu]
 *   pool max|mean K|all [stride N]    stride: K unless given; all: the whole image
 *   dropout
 *
 * each with [as NAME] at its end.  Without it layers are called by kind and number,
 * conv1, conv2, norm1, and the last one `output`.  PBT_ERR_DATA names the entry, the word
 * and what could stand there, or the layer that does not fit. */
pbt_status pbt_net_parse(const char *name, struct pbt_shape in, int32_t n_class,
                         const char *const entry[], int32_t n_entry,
                         struct pbt_net_spec *spec);

/* Layer i in these words, without its name: "conv 6 5x5 pad 2 relu pool 2". */
struct pbt_text;
void pbt_net_layer_words(const struct pbt_net_spec *spec, int32_t i,
                         struct pbt_text *text);

/* The zoo.  LeNet-5 (LeCun et al. 1998, with ReLU and max-pool): 28x28 padded to 32x32,
 * conv 6@5x5, pool, conv 16@5x5, pool, dense 120, 84, n_class. */
pbt_status pbt_net_lenet5(struct pbt_shape in, int32_t n_class,
                          struct pbt_net_spec *spec);
/* He et al. 2015, section 4.2, n = 3, with parameter-free shortcuts (option A): 269,722
 * parameters for ten classes of 3 x 32 x 32. */
pbt_status pbt_net_resnet20(struct pbt_shape in, int32_t n_class,
                            struct pbt_net_spec *spec);
pbt_status pbt_net_mlp(struct pbt_shape in, int32_t n_class, const int32_t hidden[],
                       int32_t n_hidden, struct pbt_net_spec *spec);

/* Parameters of a spec; PBT_ERR_DATA if shapes do not fit (kernel larger than its input).
 */
pbt_status pbt_net_count(const struct pbt_net_spec *spec, int64_t *parameters);

/* One line a layer: name, kind, shape, parameters, and a total; with `net`, the path each
 * layer takes in the backend (NULL: without). */
struct pbt_net;
pbt_status pbt_net_print(const struct pbt_net_spec *spec, const struct pbt_net *net,
                         struct pbt_text *text);

/* How a network is trained, beside the numbers of struct pbt_hyper. */
struct pbt_net_options {
  int32_t max_batch; // samples of a batch, at most
  enum pbt_optimizer optimizer;
  bool nesterov, decoupled;  // as in struct pbt_update_io
  const float *class_weight; // (n_class), copied: shares in the training loss; NULL: 1
};

pbt_status pbt_net_open(struct pbt_backend *backend, const struct pbt_net_spec *spec,
                        const struct pbt_net_options *options, struct pbt_net **net);
void pbt_net_close(struct pbt_net *net); // NULL is fine

/* He initialisation (He et al. 2015: normal, deviation sqrt(2 / fan in); the last layer
 * sqrt(1 / fan in)), biases 0; norms: weight 1, mean 0, variance 1; moments 0, step 0;
 * from stream (seed, member, PBT_RNG_INIT, restart). */
pbt_status pbt_net_init(struct pbt_net *net, uint64_t seed, uint32_t member,
                        uint64_t restart);

/* Borrowed until close.  Tensors: weights ("conv1/weight", "conv1/bias", ...), moments
 * ("sgd/velocity/conv1/weight", ...; "rmsprop/v/...", "rmsprop/s/..."; "adam/m/...",
 * "adam/s/...", "adam/weight_sum"), buffers ("norm1/mean", "norm1/variance", ...), local
 * "step" (PBT_I64, 0-dim). */
const struct pbt_state *pbt_net_state(const struct pbt_net *net);

/* Bytes offset .. offset + bytes - 1 of the state's canonical image, to and from host
 * memory.  Any range inside state->bytes. */
pbt_status pbt_net_state_read(struct pbt_net *net, size_t offset, size_t bytes, void *to);
pbt_status pbt_net_state_write(struct pbt_net *net, size_t offset, size_t bytes,
                               const void *from);
/* The travelling part of from's state into to's, within backend memory: both of one spec,
 * on backends that copy() accepts. */
pbt_status pbt_net_state_copy(struct pbt_net *to, struct pbt_net *from);
/* Where the image lies in backend memory, once no work on it is pending. */
pbt_status pbt_net_state_address(struct pbt_net *net, void **address);
/* The image itself where the backend's memory is host memory and in canonical order, else
 * NULL.  Valid until close. */
void *pbt_net_state_map(struct pbt_net *net);

/* In force from the next slice on. */
pbt_status pbt_net_set_hyper(struct pbt_net *net, const struct pbt_hyper *hyper);

/* n_steps optimiser steps on batches of batch.n from batch's stream (batch->step is
 * filled in by the network; streams are named by the seed and member of init); *tally is
 * set to the totals of these steps. */
pbt_status pbt_net_train(struct pbt_net *net, const struct pbt_batch *batch,
                         int64_t n_steps, struct pbt_tally *tally);

/* Scores samples begin .. begin + count - 1 without touching the state. */
pbt_status pbt_net_evaluate(struct pbt_net *net, const struct pbt_dataset *dataset,
                            int64_t begin, int64_t count, struct pbt_tally *tally);

/* The same in two parts, so that several networks have work at a time: what begins may
 * return before the work is done, and nothing else may be asked of this network until
 * pbt_net_collect() has waited for it and set *tally. */
pbt_status pbt_net_train_begin(struct pbt_net *net, const struct pbt_batch *batch,
                               int64_t n_steps);
pbt_status pbt_net_evaluate_begin(struct pbt_net *net, const struct pbt_dataset *dataset,
                                  int64_t begin, int64_t count);
pbt_status pbt_net_collect(struct pbt_net *net, struct pbt_tally *tally);

/* Floating-point operations of one training step on n samples: forward, and backward at
 * twice as many. */
double pbt_net_step_flops(const struct pbt_net *net, int32_t n);

/* Bytes of backend memory held: arena, gradient, activations and their gradients (those
 * that never live at the same time share memory). */
size_t pbt_net_bytes(const struct pbt_net *net);

#endif
