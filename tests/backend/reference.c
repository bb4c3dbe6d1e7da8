#include "reference.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/rng.h"

/* A dense layer is a convolution whose kernel is the whole plane. */
struct shape {
  int ic, ih, iw, oc, ch, cw, oh, ow, kh, kw, stride, pad, pool;
};

static struct shape shape_of(const struct pbt_layer_desc *d) {
  bool dense = d->kind == PBT_LAYER_DENSE;
  struct shape s = {.ic = d->in.c,
                    .ih = d->in.h,
                    .iw = d->in.w,
                    .oc = d->out.c,
                    .kh = dense ? d->in.h : d->kernel,
                    .kw = dense ? d->in.w : d->kernel,
                    .stride = dense ? 1 : d->stride,
                    .pad = dense ? 0 : d->pad,
                    .pool = dense || d->pool == 0 ? 1 : d->pool};
  s.ch = (s.ih + 2 * s.pad - s.kh) / s.stride + 1;
  s.cw = (s.iw + 2 * s.pad - s.kw) / s.stride + 1;
  s.oh = s.ch / s.pool;
  s.ow = s.cw / s.pool;
  return s;
}

static int x_at(const struct shape *s, int n, int i, int y, int x) {
  return ((n * s->ic + i) * s->ih + y) * s->iw + x;
}

static int w_at(const struct shape *s, int o, int i, int ky, int kx) {
  return ((o * s->ic + i) * s->kh + ky) * s->kw + kx;
}

static bool inside(const struct shape *s, int y, int x) {
  return y >= 0 && y < s->ih && x >= 0 && x < s->iw;
}

static double convolve(const struct shape *s, const struct reference_io *io, int n, int o,
                       int cy, int cx) {
  double sum = io->bias != NULL ? (double)io->bias[o] : 0;
  for (int i = 0; i < s->ic; i++) {
    for (int ky = 0; ky < s->kh; ky++) {
      for (int kx = 0; kx < s->kw; kx++) {
        int y = cy * s->stride + ky - s->pad, x = cx * s->stride + kx - s->pad;
        if (inside(s, y, x)) {
          sum += (double)io->weight[w_at(s, o, i, ky, kx)] * io->x[x_at(s, n, i, y, x)];
        }
      }
    }
  }
  return sum;
}

static void forward_one(const struct pbt_layer_desc *desc, const struct shape *s,
                        const struct reference_io *io, int n, int o, int y, int x) {
  double best = 0;
  int won = 0;
  for (int p = 0; p < s->pool * s->pool; p++) {
    double v =
        convolve(s, io, n, o, y * s->pool + p / s->pool, x * s->pool + p % s->pool);
    if (p == 0 || v > best) {
      best = v;
      won = p;
    }
  }
  if (desc->relu && best <= 0) {
    best = 0;
    won = -1;
  }
  int at = ((n * s->oc + o) * s->oh + y) * s->ow + x;
  io->y[at] = best;
  io->place[at] = won;
}

static void product_forward(const struct pbt_layer_desc *desc,
                            const struct reference_io *io) {
  struct shape s = shape_of(desc);
  for (int n = 0; n < io->n; n++) {
    for (int o = 0; o < s.oc; o++) {
      for (int y = 0; y < s.oh; y++) {
        for (int x = 0; x < s.ow; x++) {
          forward_one(desc, &s, io, n, o, y, x);
        }
      }
    }
  }
}

/* What one unpooled gradient adds to dx, dweight and dbias. */
static void spread(const struct shape *s, const struct reference_io *io, int n, int o,
                   int cy, int cx, double g) {
  io->dbias[o] += g;
  for (int i = 0; i < s->ic; i++) {
    for (int ky = 0; ky < s->kh; ky++) {
      for (int kx = 0; kx < s->kw; kx++) {
        int y = cy * s->stride + ky - s->pad, x = cx * s->stride + kx - s->pad;
        if (inside(s, y, x)) {
          int w = w_at(s, o, i, ky, kx), at = x_at(s, n, i, y, x);
          io->dweight[w] += g * io->x[at];
          io->dx[at] += g * io->weight[w];
        }
      }
    }
  }
}

static void product_backward(const struct pbt_layer_desc *desc,
                             const struct reference_io *io) {
  struct shape s = shape_of(desc);
  memset(io->dweight, 0, sizeof(double) * s.oc * s.ic * s.kh * s.kw);
  memset(io->dbias, 0, sizeof(double) * s.oc);
  int plane = s.oh * s.ow;
  for (int at = 0; at < io->n * s.oc * plane; at++) {
    int n = at / (s.oc * plane), o = at / plane % s.oc;
    int y = at % plane / s.ow, x = at % s.ow;
    int won = io->place[at];
    if (won >= 0) {
      spread(&s, io, n, o, y * s.pool + won / s.pool, x * s.pool + won % s.pool,
             io->dy[at]);
    }
  }
}

static int64_t values(const struct pbt_shape *s) {
  return (int64_t)s->c * s->h * s->w;
}

static int at_of(const struct pbt_shape *s, int n, int c, int y, int x) {
  return ((n * s->c + c) * s->h + y) * s->w + x;
}

/* Where the skip is read for an output, or -1. */
static int skip_at(const struct pbt_layer_desc *d, int n, int c, int y, int x) {
  int from = c - (d->out.c - d->skip.c) / 2;
  if (d->skip.c == 0 || from < 0 || from >= d->skip.c) {
    return -1;
  }
  int step = d->skip.h / d->out.h;
  return at_of(&d->skip, n, from, y * step, x * step);
}

/* Calls for each output of channel c. */
#define EACH_OF_CHANNEL(d, io, c)                                                        \
  for (int n = 0; n < (io)->n; n++)                                                      \
    for (int y = 0; y < (d)->out.h; y++)                                                 \
      for (int x = 0; x < (d)->out.w; x++)

/* One channel's mean and variance: of the batch, or the running ones. */
static void statistics(const struct pbt_layer_desc *d, const struct reference_io *io,
                       int c, double *mean, double *variance) {
  double count = (double)io->n * d->out.h * d->out.w;
  *mean = io->mean[c];
  *variance = io->variance[c];
  if (io->training) {
    *mean = *variance = 0;
    EACH_OF_CHANNEL(d, io, c) {
      *mean += io->x[at_of(&d->in, n, c, y, x)] / count;
    }
    EACH_OF_CHANNEL(d, io, c) {
      double away = io->x[at_of(&d->in, n, c, y, x)] - *mean;
      *variance += away * away / count;
    }
  }
}

static void norm_forward(const struct pbt_layer_desc *d, const struct reference_io *io) {
  for (int c = 0; c < d->out.c; c++) {
    double mean = 0, variance = 1 - 1e-5, weight = 1, bias = 0;
    if (d->kind == PBT_LAYER_NORM) {
      statistics(d, io, c, &mean, &variance);
      weight = io->weight[c];
      bias = io->bias[c];
      if (io->training) {
        double count = (double)io->n * d->out.h * d->out.w;
        double unbiased = count > 1 ? variance * count / (count - 1) : variance;
        io->mean[c] = 0.9 * io->mean[c] + 0.1 * mean;
        io->variance[c] = 0.9 * io->variance[c] + 0.1 * unbiased;
      }
    }
    EACH_OF_CHANNEL(d, io, c) {
      int at = at_of(&d->in, n, c, y, x), from = skip_at(d, n, c, y, x);
      double v = weight * (io->x[at] - mean) / sqrt(variance + 1e-5) + bias;
      v += from >= 0 ? (double)io->skip[from] : 0;
      io->place[at] = d->relu && v <= 0 ? -1 : 0;
      io->y[at] = io->place[at] < 0 ? 0 : v;
    }
  }
}

static void norm_backward(const struct pbt_layer_desc *d, const struct reference_io *io) {
  double count = (double)io->n * d->out.h * d->out.w;
  for (int c = 0; c < d->out.c; c++) {
    double mean = 0, variance = 0, sum = 0, sum_x = 0;
    if (d->kind == PBT_LAYER_NORM) {
      statistics(d, io, c, &mean, &variance);
    }
    double s = sqrt(variance + 1e-5);
    EACH_OF_CHANNEL(d, io, c) {
      int at = at_of(&d->in, n, c, y, x), from = skip_at(d, n, c, y, x);
      double g = io->place[at] < 0 ? 0 : (double)io->dy[at];
      sum += g;
      sum_x += g * (io->x[at] - mean) / s;
      if (from >= 0) {
        io->dskip[from] += g;
      }
      if (d->kind == PBT_LAYER_ADD) {
        io->dx[at] += g;
      }
    }
    if (d->kind == PBT_LAYER_ADD) {
      continue;
    }
    io->dbias[c] = sum;
    io->dweight[c] = sum_x;
    EACH_OF_CHANNEL(d, io, c) {
      int at = at_of(&d->in, n, c, y, x);
      double g = io->place[at] < 0 ? 0 : (double)io->dy[at];
      double x_hat = (io->x[at] - mean) / s;
      io->dx[at] += io->weight[c] / s * (g - sum / count - x_hat * sum_x / count);
    }
  }
}

static void pool_forward(const struct pbt_layer_desc *d, const struct reference_io *io) {
  for (int c = 0; c < d->out.c; c++) {
    EACH_OF_CHANNEL(d, io, c) {
      double best = 0, sum = 0;
      int won = 0, to = at_of(&d->out, n, c, y, x);
      for (int p = 0; p < d->kernel * d->kernel; p++) {
        double v = io->x[at_of(&d->in, n, c, y * d->stride + p / d->kernel,
                               x * d->stride + p % d->kernel)];
        sum += v;
        if (p == 0 || v > best) {
          best = v;
          won = p;
        }
      }
      io->y[to] = d->mean ? sum / (d->kernel * d->kernel) : best;
      io->place[to] = won;
    }
  }
}

static void pool_backward(const struct pbt_layer_desc *d, const struct reference_io *io) {
  for (int c = 0; c < d->out.c; c++) {
    EACH_OF_CHANNEL(d, io, c) {
      int from = at_of(&d->out, n, c, y, x);
      for (int p = 0; p < d->kernel * d->kernel; p++) {
        double share = d->mean                ? 1.0 / (d->kernel * d->kernel)
                       : io->place[from] == p ? 1
                                              : 0;
        io->dx[at_of(&d->in, n, c, y * d->stride + p / d->kernel,
                     x * d->stride + p % d->kernel)] += share * io->dy[from];
      }
    }
  }
}

/* to += from times the mask. */
static void dropout(const struct pbt_layer_desc *d, const struct reference_io *io,
                    const float *from, double *to) {
  double rate = io->training ? (double)io->step->hyper.dropout : 0;
  int64_t size = values(&d->in);
  for (int64_t k = 0; k < io->n * size; k++) {
    int64_t i = k / size, v = k % size;
    struct pbt_rng rng = pbt_rng_open(io->step->seed, io->step->member, PBT_RNG_DROPOUT,
                                      (uint64_t)io->step->step);
    rng.block = (uint32_t)((int64_t)d->stream * PBT_DROPOUT_BLOCKS +
                           i * ((size + 3) / 4) + v / 4);
    uint32_t word = 0;
    for (int64_t j = 0; j <= v % 4; j++) {
      word = pbt_rng_u32(&rng);
    }
    to[k] += word < (uint32_t)(rate * 4294967296.0) ? 0 : from[k] / (1 - rate);
  }
}

void reference_forward(const struct pbt_layer_desc *desc, const struct reference_io *io) {
  switch (desc->kind) {
  case PBT_LAYER_NORM:
  case PBT_LAYER_ADD:
    norm_forward(desc, io);
    break;
  case PBT_LAYER_POOL:
    pool_forward(desc, io);
    break;
  case PBT_LAYER_DROPOUT:
    memset(io->y, 0, sizeof(double) * io->n * values(&desc->out));
    dropout(desc, io, io->x, io->y);
    break;
  default:
    product_forward(desc, io);
  }
}

void reference_backward(const struct pbt_layer_desc *desc,
                        const struct reference_io *io) {
  if (!io->add) {
    memset(io->dx, 0, sizeof(double) * io->n * values(&desc->in));
    memset(io->dskip, 0, sizeof(double) * io->n * values(&desc->skip));
  }
  switch (desc->kind) {
  case PBT_LAYER_NORM:
  case PBT_LAYER_ADD:
    norm_backward(desc, io);
    break;
  case PBT_LAYER_POOL:
    pool_backward(desc, io);
    break;
  case PBT_LAYER_DROPOUT:
    dropout(desc, io, io->dy, io->dx);
    break;
  default:
    product_backward(desc, io);
  }
}

double reference_loss(int32_t n_class, const float *z, int32_t label, double smoothing,
                      double *gradient) {
  double top = z[0], sum = 0, loss = 0;
  for (int c = 1; c < n_class; c++) {
    top = z[c] > top ? z[c] : top;
  }
  for (int c = 0; c < n_class; c++) {
    sum += exp(z[c] - top);
  }
  for (int c = 0; c < n_class; c++) {
    double target = (c == label ? 1 - smoothing : 0) + smoothing / n_class;
    double log_p = z[c] - top - log(sum);
    loss -= target * log_p;
    gradient[c] = exp(log_p) - target;
  }
  return loss;
}
