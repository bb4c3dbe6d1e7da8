/*
 * Batch normalisation, channel by channel: the first pass over a channel sums, the second
 * finds it still in the second-level cache.
 *
 *   y  = relu(scale (x - mean) + bias + skip)   scale = weight / s,
 *   g  = dy where y > 0                         s = sqrt(variance + 1e-5)
 *   dx = scale (g - mean(g) - (x - mean) / s^2 mean(g (x - mean)))
 *
 * Sums run around a value of the channel itself (one sample's first pixel), and around
 * the mean in the backward pass, so that a mean far from zero cancels nothing.  Lanes sum
 * one block in float; blocks are added in double.  Where no skip was added, the sign of y
 * is computed from x again, in the same way, and y is not read.
 */
#include "backend/cpu/isa/isa.h"

#define EPSILON 1e-5
#define MOMENTUM 0.1

enum { PAIR = 2 * GROUPS }; // registers of two columns

/* Two sums over one channel: lanes while a block lasts, then one number each. */
struct sums {
  vf a[PAIR], b[PAIR];
  double total[2];
};

static double all_lanes(const vf v[PAIR]) {
  _Alignas(64) float lane[CPU_LANES];
  UNROLL for (int g = 0; g < GROUPS; g++) {
    store(lane + g * V, v[g] + v[GROUPS + g]);
  }
  return (double)sum_of_lanes(lane);
}

static void end_block(struct sums *sums) {
  sums->total[0] += all_lanes(sums->a);
  sums->total[1] += all_lanes(sums->b);
}

/* One channel of one block. */
struct plane {
  int32_t h, w;
  int32_t lanes; // that hold samples
  const float *x;
  int64_t x_row;
};

/* sum of x - pivot and of its square; all lanes, or (ragged) those that hold samples. */
ALWAYS void sum_plane(const struct plane *p, float pivot, bool ragged,
                      struct sums *sums) {
  vf away = splat(pivot), a[PAIR], b[PAIR];
  UNROLL for (int i = 0; i < PAIR; i++) {
    a[i] = b[i] = splat(0);
  }
  for (int32_t y = 0; y < p->h; y++) {
    const float *x = p->x + y * p->x_row;
    for (int32_t at = 0; at < p->w; at += 2, x += 2 * CPU_LANES) {
      UNROLL for (int i = 0; i < PAIR; i++) {
        if (i < GROUPS || at + 1 < p->w) {
          vf d = load(x + i * V) - away;
          if (ragged) {
            d = keep(lanes_below(p->lanes, i % GROUPS * V), d);
          }
          a[i] += d;
          b[i] = fma_(d, d, b[i]);
        }
      }
    }
  }
  memcpy(sums->a, a, sizeof a);
  memcpy(sums->b, b, sizeof b);
}

static int32_t lanes_of(const struct cpu_norm_call *call, int32_t block) {
  int32_t rest = call->io->n - block * CPU_LANES;
  return rest < CPU_LANES ? rest : CPU_LANES;
}

static const float *channel_of(const struct cpu_stride *stride, const float *memory,
                               int32_t block, int32_t c) {
  return memory + block * stride->block + c * stride->channel + stride->origin;
}

static struct plane plane_of(const struct cpu_norm_call *call, int32_t block, int32_t c) {
  const struct cpu_norm *norm = call->norm;
  return (struct plane){.h = norm->h,
                        .w = norm->w,
                        .lanes = lanes_of(call, block),
                        .x = channel_of(&norm->x, call->io->x, block, c),
                        .x_row = norm->x.row};
}

/* This batch's mean and variance of a channel; the running ones move. */
static void learn(const struct cpu_norm_call *call, int32_t c, double *mean,
                  double *variance) {
  const struct cpu_norm *norm = call->norm;
  struct sums sums = {.total = {0, 0}};
  float pivot = *channel_of(&norm->x, call->io->x, 0, c);
  for (int32_t block = 0; block < call->blocks; block++) {
    struct plane plane = plane_of(call, block, c);
    if (plane.lanes < CPU_LANES) {
      sum_plane(&plane, pivot, true, &sums);
    } else {
      sum_plane(&plane, pivot, false, &sums);
    }
    end_block(&sums);
  }
  double count = (double)call->io->n * norm->h * norm->w;
  double shift = sums.total[0] / count;
  double spread = sums.total[1] / count - shift * shift;
  *mean = (double)pivot + shift;
  *variance = spread < 0 ? 0 : spread; // a NaN stays
  double unbiased = count > 1 ? *variance * count / (count - 1) : *variance;
  float *running = &call->io->mean[c], *wide = &call->io->variance[c];
  *running = (float)((double)*running + MOMENTUM * (*mean - (double)*running));
  *wide = (float)((double)*wide + MOMENTUM * (unbiased - (double)*wide));
}

/* What is done to one channel's values: y = scale (x - mean) + bias. */
struct line {
  float mean, scale, bias;
};

static struct line line_of(const struct cpu_norm_call *call, int32_t c) {
  const struct cpu_norm *norm = call->norm;
  struct line line = {0, 1, 0};
  if (!norm->add) {
    line.mean = (float)norm->mean[c];
    line.scale = (float)((double)call->io->weight[c] * norm->inverse[c]);
    line.bias = call->io->bias[c];
  }
  return line;
}

/* y = line of x [+ skip], ReLU or not. */
ALWAYS void apply_row(const float *x, const float *skip, int64_t skip_step, int32_t w,
                      const struct line *line, bool relu, float *y) {
  vf mean = splat(line->mean), scale = splat(line->scale), bias = splat(line->bias);
  for (int32_t at = 0; at < w; at++) {
    UNROLL for (int g = 0; g < CPU_LANES; g += V) {
      vf v = fma_(scale, load(x + at * CPU_LANES + g) - mean, bias);
      if (skip != NULL) {
        v += load(skip + at * skip_step + g);
      }
      if (relu) {
        v = choose(less_equal(v, splat(0)), splat(0), v);
      }
      store(y + at * CPU_LANES + g, v);
    }
  }
}

/* The skip's plane that is added to channel c, or NULL. */
static const float *skip_of(const struct cpu_norm *norm, const float *skip, int32_t block,
                            int32_t c) {
  int32_t from = c - norm->skip_first;
  return norm->skip_c > 0 && from >= 0 && from < norm->skip_c
             ? channel_of(&norm->skip, skip, block, from)
             : NULL;
}

static void apply(const struct cpu_norm_call *call, int32_t c) {
  const struct cpu_norm *norm = call->norm;
  struct line line = line_of(call, c);
  int64_t step = (int64_t)norm->skip_step * CPU_LANES;
  for (int32_t block = 0; block < call->blocks; block++) {
    const float *x = channel_of(&norm->x, call->io->x, block, c);
    const float *skip = skip_of(norm, call->io->skip, block, c);
    float *to =
        call->io->y + block * norm->y.block + c * norm->y.channel + norm->y.origin;
    for (int32_t y = 0; y < norm->h; y++, x += norm->x.row, to += norm->y.row) {
      if (skip == NULL && norm->relu) {
        apply_row(x, NULL, 0, norm->w, &line, true, to);
      } else if (skip == NULL) {
        apply_row(x, NULL, 0, norm->w, &line, false, to);
      } else {
        const float *s = skip + (int64_t)y * norm->skip_step * norm->skip.row;
        if (norm->relu) {
          apply_row(x, s, step, norm->w, &line, true, to);
        } else {
          apply_row(x, s, step, norm->w, &line, false, to);
        }
      }
    }
  }
}

void KERNEL(norm_forward)(const void *context, int32_t begin, int32_t end,
                          int32_t thread) {
  (void)thread;
  const struct cpu_norm_call *call = context;
  const struct cpu_norm *norm = call->norm;
  const struct pbt_layer_io *io = call->io;
  for (int32_t c = begin; c < end; c++) {
    if (!norm->add) {
      double mean = (double)io->mean[c], variance = (double)io->variance[c];
      if (io->training) {
        learn(call, c, &mean, &variance);
      }
      norm->mean[c] = mean;
      norm->inverse[c] = 1 / __builtin_sqrt(variance + EPSILON);
    }
    apply(call, c);
  }
}

/* What the ReLU's mask is taken from. */
enum mask { MASK_NONE, MASK_X, MASK_Y };

/* dy through the ReLU, in place; its sum, and that of g (x - mean). */
ALWAYS void mask_plane(const struct plane *p, const float *y, float *dy, int64_t row,
                       const struct line *line, enum mask mask, bool ragged,
                       struct sums *sums) {
  vf mean = splat(line->mean), scale = splat(line->scale), bias = splat(line->bias);
  vf a[PAIR], b[PAIR];
  UNROLL for (int i = 0; i < PAIR; i++) {
    a[i] = b[i] = splat(0);
  }
  for (int32_t r = 0; r < p->h; r++) {
    const float *x = p->x + r * p->x_row, *out = y + r * row;
    float *d = dy + r * row;
    for (int32_t at = 0; at < p->w; at += 2) {
      UNROLL for (int i = 0; i < PAIR; i++) {
        if (i < GROUPS || at + 1 < p->w) {
          int64_t here = (int64_t)at * CPU_LANES + i * V;
          vf g = load(d + here), away = load(x + here) - mean;
          if (mask != MASK_NONE) {
            vf sign = mask == MASK_Y ? load(out + here) : fma_(scale, away, bias);
            g = choose(less_equal(sign, splat(0)), splat(0), g);
          }
          if (ragged) {
            vm used = lanes_below(p->lanes, i % GROUPS * V);
            g = keep(used, g);
            away = keep(used, away);
          }
          if (ragged || mask != MASK_NONE) {
            store(d + here, g);
          }
          a[i] += g;
          b[i] = fma_(g, away, b[i]);
        }
      }
    }
  }
  memcpy(sums->a, a, sizeof a);
  memcpy(sums->b, b, sizeof b);
}

static void mask_channel(const struct cpu_norm_call *call, int32_t c, struct sums *sums) {
  const struct cpu_norm *norm = call->norm;
  struct line line = line_of(call, c);
  for (int32_t block = 0; block < call->blocks; block++) {
    struct plane plane = plane_of(call, block, c);
    int64_t at = block * norm->y.block + c * norm->y.channel + norm->y.origin;
    const float *y = call->io->y + at;
    float *dy = call->io->dy + at;
    int64_t row = norm->y.row;
    if (plane.lanes < CPU_LANES) { // y holds the sign in any case
      if (norm->relu) {
        mask_plane(&plane, y, dy, row, &line, MASK_Y, true, sums);
      } else {
        mask_plane(&plane, y, dy, row, &line, MASK_NONE, true, sums);
      }
    } else if (!norm->relu) {
      mask_plane(&plane, y, dy, row, &line, MASK_NONE, false, sums);
    } else if (skip_of(norm, call->io->skip, block, c) == NULL) {
      mask_plane(&plane, y, dy, row, &line, MASK_X, false, sums);
    } else {
      mask_plane(&plane, y, dy, row, &line, MASK_Y, false, sums);
    }
    end_block(sums);
  }
}

/* to = [to +] a g + b (x - mean) + k */
struct slope {
  float a, b, mean, k;
};

ALWAYS void slope_row(const float *g, const float *x, int32_t w, const struct slope *s,
                      bool add, float *to) {
  vf a = splat(s->a), b = splat(s->b), mean = splat(s->mean), k = splat(s->k);
  for (int32_t at = 0; at < w; at++) {
    UNROLL for (int i = 0; i < CPU_LANES; i += V) {
      int64_t here = (int64_t)at * CPU_LANES + i;
      vf v = fma_(a, load(g + here), fma_(b, load(x + here) - mean, k));
      store(to + here, add ? v + load(to + here) : v);
    }
  }
}

/* to = [to +] g, every step / 16-th column of it. */
static void pass_row(const float *g, int32_t w, int64_t step, bool add, float *to) {
  for (int32_t at = 0; at < w; at++) {
    for (int32_t i = 0; i < CPU_LANES; i += V) {
      vf v = load(g + at * CPU_LANES + i);
      float *here = to + at * step + i;
      store(here, add ? v + load(here) : v);
    }
  }
}

static void pass_skip(const struct cpu_norm_call *call, int32_t block, int32_t c,
                      const float *g) {
  const struct cpu_norm *norm = call->norm;
  float *to = (float *)skip_of(norm, call->io->dskip, block, c);
  if (to == NULL) {
    return;
  }
  int32_t step = norm->skip_step;
  size_t bytes = (size_t)step * (size_t)norm->w * CPU_LANES * sizeof *to;
  for (int32_t y = 0; y < norm->h; y++, g += norm->y.row) {
    for (int32_t r = 0; r < step && step > 1 && !call->io->add_dskip; r++) {
      memset(to + r * norm->skip.row, 0, bytes);
    }
    pass_row(g, norm->w, (int64_t)step * CPU_LANES, call->io->add_dskip, to);
    to += step * norm->skip.row;
  }
}

static void pass_dx(const struct cpu_norm_call *call, int32_t block, int32_t c,
                    const float *g, const struct slope *slope) {
  const struct cpu_norm *norm = call->norm;
  int64_t at = block * norm->x.block + c * norm->x.channel + norm->x.origin;
  const float *x = call->io->x + at;
  float *dx = call->io->dx + at;
  bool add = call->io->add_dx;
  for (int32_t y = 0; y < norm->h; y++) {
    if (norm->add) {
      pass_row(g, norm->w, CPU_LANES, add, dx);
    } else if (add) {
      slope_row(g, x, norm->w, slope, true, dx);
    } else {
      slope_row(g, x, norm->w, slope, false, dx);
    }
    g += norm->y.row;
    x += norm->x.row;
    dx += norm->x.row;
  }
}

void KERNEL(norm_backward)(const void *context, int32_t begin, int32_t end,
                           int32_t thread) {
  (void)thread;
  const struct cpu_norm_call *call = context;
  const struct cpu_norm *norm = call->norm;
  const struct pbt_layer_io *io = call->io;
  double count = (double)io->n * norm->h * norm->w;
  for (int32_t c = begin; c < end; c++) {
    struct sums sums = {.total = {0, 0}};
    mask_channel(call, c, &sums);
    struct slope slope = {0};
    if (!norm->add) {
      double inverse = norm->inverse[c], scale = (double)io->weight[c] * inverse;
      io->dbias[c] = (float)sums.total[0];
      io->dweight[c] = (float)(sums.total[1] * inverse);
      slope.a = (float)scale;
      slope.b = (float)(-scale * inverse * inverse * sums.total[1] / count);
      slope.mean = (float)norm->mean[c];
      slope.k = (float)(-scale * sums.total[0] / count);
    }
    for (int32_t block = 0; block < call->blocks; block++) {
      const float *g = channel_of(&norm->y, io->dy, block, c);
      if (io->dx != NULL) {
        pass_dx(call, block, c, g, &slope);
      }
      if (io->dskip != NULL) {
        pass_skip(call, block, c, g);
      }
    }
  }
}
