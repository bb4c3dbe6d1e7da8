/*
 * gp.h - a small time-varying Gaussian process, with the same bits on every machine.
 *
 * Points are rows (t, x_1 .. x_d); the kernel is
 *
 *   k = exp(-|x - x'|^2 / length) (1 - forget)^(|t - t'| / 2)
 *
 * with variance 1 (labels are standardised) and noise on the labels (Bogunovic et al.
 * 2016; Parker-Holder et al. 2020).  Pure but for the memory it holds.
 */
#ifndef PBT_PBT_GP_H
#define PBT_PBT_GP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct pbt_gp_shape {
  double length, forget, noise;
};

struct pbt_gp {
  int64_t room;    // points at most
  int32_t columns; // 1 + d
  int64_t n;       // points with labels
  int64_t n_all;   // and those without, added after them
  struct pbt_gp_shape shape;
  double jitter;      // that the factor needed
  double likelihood;  // log marginal, of the labels
  double *x;          // (room, columns)
  double *y, *weight; // (room) labels; their solution
  double *factor;     // (room, room) lower Cholesky
  double *row, *back; // (room) work
};

pbt_status pbt_gp_open(int64_t room, int32_t columns, struct pbt_gp *gp);
void pbt_gp_close(struct pbt_gp *gp);

/* Fits gp->x and gp->y (n rows, filled in by the caller).  False if the matrix could not
 * be factored, not even with 1e-4 added to its diagonal. */
bool pbt_gp_fit(struct pbt_gp *gp, int64_t n, const struct pbt_gp_shape *shape);

/* One more point without a label: it lowers the variance around it.  False as above. */
bool pbt_gp_add(struct pbt_gp *gp, const double x[]);

/* The posterior of the function (without noise) at x: its mean from the labels, its
 * variance from all points.  Slopes by x_1 .. x_d where not NULL. */
void pbt_gp_at(struct pbt_gp *gp, const double x[], double *mean, double *variance,
               double mean_slope[], double variance_slope[]);

#endif
