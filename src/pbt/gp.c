#include "pbt/gp.h"

#include "base/detmath.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

pbt_status pbt_gp_open(int64_t room, int32_t columns, struct pbt_gp *gp) {
  *gp = (struct pbt_gp){.room = room, .columns = columns};
  pbt_status status = PBT_NEW(room * columns, &gp->x);
  double **const list[] = {&gp->y, &gp->weight, &gp->row, &gp->back};
  for (size_t i = 0; i < sizeof list / sizeof *list && status == PBT_OK; i++) {
    status = PBT_NEW(room, list[i]);
  }
  if (status == PBT_OK) {
    status = PBT_NEW(room * room, &gp->factor);
  }
  if (status != PBT_OK) {
    pbt_gp_close(gp);
  }
  return status;
}

void pbt_gp_close(struct pbt_gp *gp) {
  pbt_mem_free(gp->factor);
  pbt_mem_free(gp->back);
  pbt_mem_free(gp->row);
  pbt_mem_free(gp->weight);
  pbt_mem_free(gp->y);
  pbt_mem_free(gp->x);
  *gp = (struct pbt_gp){0};
}

static double kernel(const struct pbt_gp *gp, double log_keep, const double a[],
                     const double b[]) {
  double square = 0.0;
  for (int32_t c = 1; c < gp->columns; c++) {
    square += (a[c] - b[c]) * (a[c] - b[c]);
  }
  return pbt_exp(0.5 * fabs(a[0] - b[0]) * log_keep - square / gp->shape.length);
}

/* In four sums, which a processor adds side by side; the order is ours, so the bits are.
 */
static double dot(const double a[], const double b[], int64_t n) {
  double sum[4] = {0.0, 0.0, 0.0, 0.0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int k = 0; k < 4; k++) {
      sum[k] += a[i + k] * b[i + k];
    }
  }
  for (; i < n; i++) {
    sum[0] += a[i] * b[i];
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* L row = row, the first n. */
static void solve_down(const struct pbt_gp *gp, int64_t n, double row[]) {
  for (int64_t i = 0; i < n; i++) {
    const double *l = gp->factor + i * gp->room;
    row[i] = (row[i] - dot(l, row, i)) / l[i];
  }
}

/* L^T row = row; by columns of L^T, which are rows of L. */
static void solve_up(const struct pbt_gp *gp, int64_t n, double row[]) {
  for (int64_t i = n - 1; i >= 0; i--) {
    const double *l = gp->factor + i * gp->room;
    row[i] /= l[i];
    for (int64_t k = 0; k < i; k++) {
      row[k] -= l[k] * row[i];
    }
  }
}

/* Row i of the factor from the kernel with the points before it. */
static bool factor_row(struct pbt_gp *gp, double log_keep, int64_t i) {
  double *l = gp->factor + i * gp->room;
  for (int64_t k = 0; k < i; k++) {
    l[k] = kernel(gp, log_keep, gp->x + i * gp->columns, gp->x + k * gp->columns);
  }
  solve_down(gp, i, l);
  double rest = 1.0 + gp->shape.noise + gp->jitter - dot(l, l, i);
  l[i] = sqrt(rest);
  return rest > 1e-14;
}

static bool factor_all(struct pbt_gp *gp, double log_keep) {
  for (int64_t i = 0; i < gp->n; i++) {
    if (!factor_row(gp, log_keep, i)) {
      return false;
    }
  }
  return true;
}

bool pbt_gp_fit(struct pbt_gp *gp, int64_t n, const struct pbt_gp_shape *shape) {
  static const double ladder[] = {0.0, 1e-10, 1e-8, 1e-6, 1e-4};
  gp->n = gp->n_all = n;
  gp->shape = *shape;
  double log_keep = pbt_log(1.0 - shape->forget);
  bool done = false;
  for (size_t step = 0; step < sizeof ladder / sizeof *ladder && !done; step++) {
    gp->jitter = ladder[step];
    done = factor_all(gp, log_keep);
  }
  if (!done) {
    return false;
  }
  memcpy(gp->weight, gp->y, (size_t)n * sizeof *gp->y);
  solve_down(gp, n, gp->weight);
  gp->likelihood = -0.91893853320467274 * (double)n;
  for (int64_t i = 0; i < n; i++) {
    gp->likelihood -=
        0.5 * gp->weight[i] * gp->weight[i] + pbt_log(gp->factor[i * gp->room + i]);
  }
  solve_up(gp, n, gp->weight);
  return true;
}

bool pbt_gp_add(struct pbt_gp *gp, const double x[]) {
  if (gp->n_all == gp->room) {
    return false;
  }
  memcpy(gp->x + gp->n_all * gp->columns, x, (size_t)gp->columns * sizeof *x);
  if (!factor_row(gp, pbt_log(1.0 - gp->shape.forget), gp->n_all)) {
    return false;
  }
  gp->n_all++;
  return true;
}

void pbt_gp_at(struct pbt_gp *gp, const double x[], double *mean, double *variance,
               double mean_slope[], double variance_slope[]) {
  double log_keep = pbt_log(1.0 - gp->shape.forget);
  double *k = gp->row, *solved = gp->back;
  *mean = 0.0;
  for (int64_t i = 0; i < gp->n_all; i++) {
    k[i] = kernel(gp, log_keep, x, gp->x + i * gp->columns);
    *mean += i < gp->n ? k[i] * gp->weight[i] : 0.0;
  }
  memcpy(solved, k, (size_t)gp->n_all * sizeof *k);
  solve_down(gp, gp->n_all, solved);
  *variance = 1.0 - dot(solved, solved, gp->n_all);
  *variance = *variance > 0.0 ? *variance : 0.0;
  if (mean_slope == NULL) {
    return;
  }
  solve_up(gp, gp->n_all, solved);
  for (int32_t c = 0; c + 1 < gp->columns; c++) {
    mean_slope[c] = variance_slope[c] = 0.0;
    for (int64_t i = 0; i < gp->n_all; i++) {
      double apart = x[c + 1] - gp->x[i * gp->columns + c + 1];
      double slope = -2.0 * apart / gp->shape.length * k[i];
      mean_slope[c] += i < gp->n ? slope * gp->weight[i] : 0.0;
      variance_slope[c] -= 2.0 * slope * solved[i];
    }
  }
}
