/* support.h - one layer with its memory on both sides, for the backend tests. */
#ifndef PBT_TESTS_BACKEND_SUPPORT_H
#define PBT_TESTS_BACKEND_SUPPORT_H

#include "backend/backend.h"
#include "reference.h"

/* The backend the environment names (PBT_TEST_BACKEND, PBT_ISA), one thread. */
struct pbt_backend *support_open(void);
enum pbt_precision support_precision(void);                         // PBT_TEST_PRECISION
struct pbt_backend *support_open_isa(const char *isa, int threads); // NULL: not here
/* 0 if it opens here, else 77 and a line that says why. */
int support_skip(void);

struct pbt_layer_desc support_conv(struct pbt_shape in, int out, int kernel, int stride,
                                   int pad, int pool, bool relu, int out_halo);
struct pbt_layer_desc support_dense(struct pbt_shape in, int out, bool relu);
/* NORM or ADD; the skip may have fewer channels at a whole times the height and width. */
struct pbt_layer_desc support_norm(struct pbt_shape in, struct pbt_shape skip, bool relu,
                                   int out_halo);
struct pbt_layer_desc support_add(struct pbt_shape in, struct pbt_shape skip, bool relu,
                                  int out_halo);
struct pbt_layer_desc support_pool(struct pbt_shape in, int kernel, int stride, bool mean,
                                   int out_halo);
struct pbt_layer_desc support_dropout(struct pbt_shape in, int stream, int out_halo);

int64_t support_count(struct pbt_shape shape); // floats of one sample, no halo
int64_t support_weights(const struct pbt_layer_desc *desc);

/* Deterministic values in [-1, 1]; on the grid, multiples of 1/64: then forward sums are
 * exact and the place of a maximum cannot depend on rounding. */
void support_fill(float *to, int64_t n, unsigned seed, bool grid);

/* max|a - b| / max|b| */
double support_error(const float *a, const double *b, int64_t n);

/* A layer at work: host arrays in canonical order, results of the backend and of the
 * reference. */
struct bench_layer {
  struct pbt_layer_desc desc;
  int32_t n;
  bool training;                             // true unless the test says otherwise
  bool add;                                  // add_dx and add_dskip
  bool no_bias;                              // CONV
  struct pbt_step step;                      // DROPOUT
  int64_t in, out, skipped, weights, biases; // counts: batch, batch, batch, parameters
  float *x, *skip, *weight, *bias, *dy;      // inputs
  float *held_dx, *held_dskip;               // what add is added to
  float *y, *dx, *dskip, *dweight, *dbias;   // from the backend
  float *mean, *variance;                    // NORM: before, and after, by the backend
  double *ref_y, *ref_dx, *ref_dskip, *ref_dweight, *ref_dbias; // from the reference
  double *ref_mean, *ref_variance;
  int32_t *place;
};
struct bench_layer support_layer_new(struct pbt_layer_desc desc, int32_t n, unsigned seed,
                                     bool grid);
void support_layer_free(struct bench_layer *layer);
void support_layer_reference(struct bench_layer *layer);
/* Forward and backward through the backend; `padding` goes into the lanes past n of x,
 * skip and dy (0 or NaN) when the backend's layout is the CPU's. */
void support_layer_run(struct pbt_backend *backend, struct bench_layer *layer,
                       int32_t max_batch, float padding);

#endif
