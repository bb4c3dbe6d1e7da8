/*
 * PB2, population based bandits (Parker-Holder, Nguyen, Roberts 2020): what values do to
 * a score's gain is learned by a Gaussian process over (generation, score before, values)
 * that forgets with time, and members that copied take the values with the highest upper
 * confidence bound, one after the other, each counting as seen for the next.
 *
 * The data are the last intervals of the whole population, `window` of them (twice the
 * population, at least 32 and at most 200, unless the job says more).  Gains are
 * standardised and cut at +-2.  Length, forgetting and noise of the process are each the
 * likeliest of three, one after the other.  The bound, mean + kappa variance with
 * kappa^2 = 0.2 log(0.4 n), is climbed by projected gradients from the best of 32
 * quasi-random points and from the values inherited.  All of it is done by every rank
 * alike, in numbers that are the same everywhere.  With too few data, or a matrix that
 * cannot be factored, the members perturb, and the log says why.
 */
#include "pbt/explore/explore.h"

#include "base/clock.h"               // what it cost, for the log
#include "base/detmath.h"             // log
#include "base/log.h"                 // why it fell back
#include "base/rng.h"                 // shift of the starts
#include "pbt/explore/differential.h" // units
#include "pbt/gp.h"
#include "pbt/seeding.h" // Sobol's points

#include <math.h>
#include <string.h>

enum { FEWEST = 4, STARTS = 32, CLIMBS = 2, CLIMB_STEPS = 16 };

struct pb2 {
  int64_t window;
  int32_t columns; // generation, score before, values
  double *x, *y;   // (window, columns), (window): rings
  int64_t *count;  // points ever
  double *before;  // (n) score before the interval; NaN: none
  int64_t *begun;  // 0 in the first round
};

static int64_t window_of(const struct pbt_job *job) {
  int64_t n = 2 * job->population.size;
  n = n < 32 ? 32 : (n < 200 ? n : 200);
  return job->explore.window > 0 ? job->explore.window : n;
}

static int tensors(const struct pbt_job *job, struct pbt_tensor tensor[]) {
  int64_t window = window_of(job);
  tensor[0] = pbt_method_tensor("pb2", "x", PBT_F64, window, 2 + job->search.n);
  tensor[1] = pbt_method_tensor("pb2", "y", PBT_F64, window, 0);
  tensor[2] = pbt_method_tensor("pb2", "count", PBT_I64, 1, 0);
  tensor[3] = pbt_method_tensor("pb2", "before", PBT_F64, job->population.size, 0);
  tensor[4] = pbt_method_tensor("pb2", "begun", PBT_I64, 1, 0);
  return 5;
}

static struct pb2 pb2_of(const struct pbt_job *job, const struct pbt_memory *memory) {
  return (struct pb2){.window = window_of(job),
                      .columns = 2 + job->search.n,
                      .x = pbt_memory_at(memory, "pb2/x"),
                      .y = pbt_memory_at(memory, "pb2/y"),
                      .count = pbt_memory_at(memory, "pb2/count"),
                      .before = pbt_memory_at(memory, "pb2/before"),
                      .begun = pbt_memory_at(memory, "pb2/begun")};
}

/* ---- what is remembered ---- */

static void observe(const struct pbt_round *round, struct pbt_memory *memory,
                    const struct pbt_step_plan plan[]) {
  struct pb2 pb2 = pb2_of(round->job, memory);
  double sign = round->job->task.sense == PBT_MAXIMIZE ? 1.0 : -1.0;
  for (int64_t i = 0; i < round->n; i++) {
    double score = sign * round->report[i].fitness;
    if (*pb2.begun && pbt_is_finite(round, i) && !isnan(pb2.before[i])) {
      int64_t place = (*pb2.count)++ % pb2.window;
      double *x = pb2.x + place * pb2.columns;
      x[0] = (double)round->generation;
      x[1] = pb2.before[i];
      pbt_to_units(round->job, plan[i].value, x + 2);
      pb2.y[place] = score - pb2.before[i];
    }
    pb2.before[i] = pbt_is_finite(round, i) ? score : (double)NAN;
  }
  *pb2.begun = 1;
}

static void settle(const struct pbt_round *round, struct pbt_memory *memory,
                   const struct pbt_step_plan plan[]) {
  struct pb2 pb2 = pb2_of(round->job, memory);
  for (int64_t i = 0; i < round->n; i++) {
    if (plan[i].donor == -1) {
      pb2.before[i] = (double)NAN;
    } else if (plan[i].donor != i && pbt_copies_weights(round->job)) {
      pb2.before[i] = pb2.before[plan[i].donor];
    }
  }
}

/* ---- the process ---- */

struct range {
  double low, width;
};

static struct range range_of(const double value[], int64_t n, int64_t stride) {
  double low = value[0], high = value[0];
  for (int64_t i = 1; i < n; i++) {
    double v = value[i * stride];
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  return (struct range){low, high > low ? high - low : 1.0};
}

static void standardise(double y[], int64_t n) {
  double mean = 0.0, square = 0.0;
  for (int64_t i = 0; i < n; i++) {
    mean += y[i] / (double)n;
  }
  for (int64_t i = 0; i < n; i++) {
    square += (y[i] - mean) * (y[i] - mean) / (double)n;
  }
  double deviation = square > 0.0 ? sqrt(square) : 1.0;
  for (int64_t i = 0; i < n; i++) {
    double z = (y[i] - mean) / deviation;
    y[i] = z < -2.0 ? -2.0 : (z > 2.0 ? 2.0 : z);
  }
}

/* Of each part of the shape in turn the likeliest of three. */
static bool fit_likeliest(struct pbt_gp *gp, int64_t n) {
  static const double table[3][3] = {{1.0, 0.3, 0.1}, {0.1, 0.02, 0.3}, {0.1, 0.02, 0.4}};
  double part[3] = {table[0][0], table[1][0], table[2][0]};
  double likelihood = -HUGE_VAL;
  for (int p = 0; p < 3; p++) {
    double best = part[p];
    for (int k = p == 0 ? 0 : 1; k < 3; k++) {
      part[p] = table[p][k];
      struct pbt_gp_shape shape = {part[0], part[1], part[2]};
      if (pbt_gp_fit(gp, n, &shape) && gp->likelihood > likelihood) {
        likelihood = gp->likelihood;
        best = part[p];
      }
    }
    part[p] = best;
  }
  struct pbt_gp_shape shape = {part[0], part[1], part[2]};
  return likelihood > -HUGE_VAL && pbt_gp_fit(gp, n, &shape);
}

static bool fit(const struct pb2 *pb2, struct pbt_gp *gp, struct range *score) {
  int64_t n = *pb2->count < pb2->window ? *pb2->count : pb2->window;
  *score = range_of(pb2->x + 1, n, pb2->columns);
  memcpy(gp->x, pb2->x, (size_t)(n * pb2->columns) * sizeof *gp->x);
  memcpy(gp->y, pb2->y, (size_t)n * sizeof *gp->y);
  for (int64_t i = 0; i < n; i++) {
    double *at = gp->x + i * pb2->columns + 1;
    *at = (*at - score->low) / score->width;
  }
  standardise(gp->y, n);
  return fit_likeliest(gp, n);
}

/* ---- the highest bound ---- */

/* The bound at x, and its slopes by the values where slope is not NULL. */
static double bound_at(struct pbt_gp *gp, const double x[], double slope[]) {
  double mean, variance;
  double mean_slope[PBT_MAX_HPARAM + 1], variance_slope[PBT_MAX_HPARAM + 1];
  pbt_gp_at(gp, x, &mean, &variance, slope != NULL ? mean_slope : NULL, variance_slope);
  double inside = 0.2 * pbt_log(0.4 * (double)gp->n_all);
  double kappa = inside > 0.0 ? sqrt(inside) : 0.0;
  for (int32_t c = 0; slope != NULL && c < gp->columns - 2; c++) {
    slope[c] = mean_slope[c + 1] + kappa * variance_slope[c + 1];
  }
  return mean + kappa * variance;
}

static double climb(struct pbt_gp *gp, double x[], int32_t d) {
  double slope[PBT_MAX_HPARAM], next[PBT_MAX_HPARAM], tried[PBT_MAX_HPARAM + 2];
  double stride = 0.1;
  double bound = bound_at(gp, x, slope);
  for (int step = 0; step < CLIMB_STEPS && stride > 1e-3; step++) {
    double square = 0.0;
    for (int32_t h = 0; h < d; h++) {
      square += slope[h] * slope[h];
    }
    if (!(square > 0.0)) {
      break;
    }
    memcpy(tried, x, (size_t)(d + 2) * sizeof *x);
    for (int32_t h = 0; h < d; h++) {
      double to = x[2 + h] + stride * slope[h] / sqrt(square);
      tried[2 + h] = to < 0.0 ? 0.0 : (to > 1.0 ? 1.0 : to);
    }
    double reached = bound_at(gp, tried, next);
    if (reached > bound) {
      memcpy(x, tried, (size_t)(d + 2) * sizeof *x);
      memcpy(slope, next, (size_t)d * sizeof *slope);
      bound = reached;
    } else {
      stride *= 0.5;
    }
  }
  return bound;
}

/* x[2..]: in the values inherited, out the values chosen. */
static void choose(const struct pbt_round *round, int64_t member, struct pbt_gp *gp,
                   double x[]) {
  int32_t d = round->job->search.n;
  struct pbt_rng rng = pbt_rng_open(round->job->seed, (uint32_t)member, PBT_RNG_EXPLORE,
                                    (uint64_t)round->generation);
  uint32_t shift[PBT_MAX_HPARAM], point[PBT_MAX_HPARAM];
  double start[CLIMBS][PBT_MAX_HPARAM + 2], bound[CLIMBS];
  for (int32_t h = 0; h < d; h++) {
    shift[h] = pbt_rng_u32(&rng);
  }
  memcpy(start[0], x, (size_t)(d + 2) * sizeof *x); // the values inherited
  memcpy(start[1], x, (size_t)(d + 2) * sizeof *x);
  bound[1] = -HUGE_VAL;
  for (uint32_t s = 0; s < STARTS; s++) {
    double at[PBT_MAX_HPARAM + 2] = {x[0], x[1]};
    pbt_sobol_point(s, d, point);
    for (int32_t h = 0; h < d; h++) {
      at[2 + h] = (double)(point[h] ^ shift[h]) * 0x1p-32;
    }
    double here = bound_at(gp, at, NULL);
    if (here > bound[1]) {
      bound[1] = here;
      memcpy(start[1], at, (size_t)(d + 2) * sizeof *at);
    }
  }
  for (int k = 0; k < CLIMBS; k++) {
    bound[k] = climb(gp, start[k], d);
  }
  memcpy(x, start[bound[1] > bound[0] ? 1 : 0], (size_t)(d + 2) * sizeof *x);
}

/* False if the matrix broke down on the way; who has moved by then does not any more. */
static bool move_all(const struct pbt_round *round, const struct pb2 *pb2,
                     const struct range *score, struct pbt_gp *gp,
                     struct pbt_step_plan plan[]) {
  for (int64_t i = 0; i < round->n; i++) {
    if (!plan[i].moves) {
      continue;
    }
    int64_t from = pbt_copies_weights(round->job) ? plan[i].donor : i;
    double x[PBT_MAX_HPARAM + 2] = {(double)(round->generation + 1)};
    x[1] =
        isnan(pb2->before[from]) ? 0.0 : (pb2->before[from] - score->low) / score->width;
    pbt_to_units(round->job, plan[i].value, x + 2);
    choose(round, i, gp, x);
    if (!pbt_gp_add(gp, x)) {
      return false;
    }
    pbt_from_units(round->job, x + 2, plan[i].value);
    memset(plan[i].move, PBT_MOVE_PERTURBED, sizeof plan[i].move);
    plan[i].moves = 0;
  }
  return true;
}

static int64_t movers(const struct pbt_round *round, const struct pbt_step_plan plan[]) {
  int64_t n = 0;
  for (int64_t i = 0; i < round->n; i++) {
    n += plan[i].moves ? 1 : 0;
  }
  return n;
}

static pbt_status decide(const struct pbt_round *round, struct pbt_memory *memory,
                         struct pbt_step_plan plan[]) {
  struct pb2 pb2 = pb2_of(round->job, memory);
  int64_t n = movers(round, plan);
  if (n == 0) {
    return PBT_OK;
  }
  if (*pb2.count < FEWEST) {
    pbt_info("pb2: only %lld intervals are known in generation %lld: members perturb",
             (long long)*pb2.count, (long long)round->generation);
    return pbt_explore_perturb.decide(round, memory, plan);
  }
  double began = pbt_seconds();
  struct pbt_gp gp;
  struct range score;
  PBT_TRY(pbt_gp_open(pb2.window + n, pb2.columns, &gp));
  bool moved = fit(&pb2, &gp, &score) && move_all(round, &pb2, &score, &gp, plan);
  pbt_gp_close(&gp);
  bool filled = *pb2.count >= pb2.window && *pb2.count - round->n < pb2.window;
  if (moved && filled) { // once: what it costs from now on
    pbt_info("pb2: %lld points, %lld members moved in %.2f ms", (long long)pb2.window,
             (long long)n, 1e3 * (pbt_seconds() - began));
  }
  if (!moved) {
    pbt_info("pb2: the kernel matrix cannot be factored in generation %lld: members "
             "perturb",
             (long long)round->generation);
    return pbt_explore_perturb.decide(round, memory, plan);
  }
  return PBT_OK;
}

const struct pbt_method pbt_explore_pb2 = {
    .name = "pb2",
    .what = "values with the highest upper confidence bound of a time-varying Gaussian "
            "process",
    .source = "Parker-Holder, Nguyen, Roberts 2020, arXiv 2002.02518",
    .tensors = tensors,
    .observe = observe,
    .decide = decide,
    .settle = settle,
};
