/*
 * reference.h - what every backend must compute, as plain loops in double precision.
 *
 * The reference is law: it is written to be read and never made fast.  Arrays are
 * canonical: activations (n, c, h, w) without halo, weights (out, in, k, k).
 */
#ifndef PBT_TESTS_BACKEND_REFERENCE_H
#define PBT_TESTS_BACKEND_REFERENCE_H

#include "backend/backend.h"

/* One layer over a batch; every array as in struct pbt_layer_io.  `place`, one for each
 * output, keeps which place of its pool window won, or -1 where the ReLU was off. */
struct reference_io {
  int32_t n;
  const float *x, *weight, *bias, *dy;
  double *y, *dx, *dweight, *dbias;
  int32_t *place;
};
void reference_forward(const struct pbt_layer_desc *desc, const struct reference_io *io);
void reference_backward(const struct pbt_layer_desc *desc, const struct reference_io *io);

/* Loss of one sample with smoothing; z and gradient (of this loss) of n_class values. */
double reference_loss(int32_t n_class, const float *z, int32_t label, double smoothing,
                      double *gradient);

#endif
