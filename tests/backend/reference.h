/*
 * reference.h - what every backend must compute, as plain loops in double precision.
 *
 * The reference is law: it is written to be read and never made fast.  Arrays are
 * canonical: activations (n, c, h, w) without halo, weights (out, in, k, k).
 */
#ifndef PBT_TESTS_BACKEND_REFERENCE_H
#define PBT_TESTS_BACKEND_REFERENCE_H

#include <stdbool.h>

#include "backend/backend.h"

/* One layer over a batch; every array as in struct pbt_layer_io.  `place`, one for each
 * output, keeps which place of its pool window won, or -1 where the ReLU was off.
 * Backward adds to dx and dskip what they hold where add says so. */
struct reference_io {
  int32_t n;
  bool training, add;
  const float *x, *skip, *weight, *bias, *dy; // bias NULL: none
  double *y, *dx, *dskip, *dweight, *dbias;
  double *mean, *variance; // NORM: moved by forward when training
  const struct pbt_step *step;
  int32_t *place;
};
void reference_forward(const struct pbt_layer_desc *desc, const struct reference_io *io);
void reference_backward(const struct pbt_layer_desc *desc, const struct reference_io *io);

/* Loss of one sample with smoothing; z and gradient (of this loss) of n_class values. */
double reference_loss(int32_t n_class, const float *z, int32_t label, double smoothing,
                      double *gradient);

#endif
