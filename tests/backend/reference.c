#include "reference.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

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
  double sum = io->bias[o];
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

void reference_forward(const struct pbt_layer_desc *desc, const struct reference_io *io) {
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

void reference_backward(const struct pbt_layer_desc *desc,
                        const struct reference_io *io) {
  struct shape s = shape_of(desc);
  memset(io->dx, 0, sizeof(double) * io->n * s.ic * s.ih * s.iw);
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
