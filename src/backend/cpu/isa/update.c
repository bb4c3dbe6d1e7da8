/*
 * The optimisers of struct pbt_update_io, over one contiguous arena.
 *
 * Every element is a chain of correctly rounded operations that does not look at its
 * neighbours, so the bits depend neither on the instruction set (with fused multiply-add)
 * nor on the threads.  A gradient that is not clipped is multiplied by 1, and a weight
 * that does not decay by itself likewise: both are exact.
 */
#include "backend/cpu/isa/isa.h"

ALWAYS vf root(vf a) {
#if defined PBT_ISA_avx512
  return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined PBT_ISA_avx2
  return (vf)_mm256_sqrt_ps((__m256)a);
#else
  for (int i = 0; i < V; i++) {
    a[i] = __builtin_sqrtf(a[i]);
  }
  return a;
#endif
}

/* One register of everything; SGD has no `s`. */
struct lanes {
  vf w, g, v, s;
};

struct numbers {
  vf scale, keep, decay, down; // down: -lr, ADAM -lr / c1
  vf momentum, beta2, new1, new2, inverse, epsilon;
};

typedef struct lanes rule(const struct numbers *k, struct lanes in);

ALWAYS struct lanes sgd(const struct numbers *k, struct lanes in) {
  in.v = fma_(k->momentum, in.v, in.g);
  in.w = fma_(k->down, in.v, in.w);
  return in;
}

ALWAYS struct lanes nesterov(const struct numbers *k, struct lanes in) {
  in.v = fma_(k->momentum, in.v, in.g);
  in.w = fma_(k->down, fma_(k->momentum, in.v, in.g), in.w);
  return in;
}

ALWAYS struct lanes rmsprop(const struct numbers *k, struct lanes in) {
  in.s = fma_(k->beta2, in.s, k->new2 * in.g * in.g);
  in.v = fma_(k->momentum, in.v, in.g / (root(in.s) + k->epsilon));
  in.w = fma_(k->down, in.v, in.w);
  return in;
}

ALWAYS struct lanes adam(const struct numbers *k, struct lanes in) {
  in.v = fma_(k->momentum, in.v, k->new1 * in.g);
  in.s = fma_(k->beta2, in.s, k->new2 * in.g * in.g);
  in.w = fma_(k->down, in.v / (root(in.s * k->inverse) + k->epsilon), in.w);
  return in;
}

ALWAYS struct lanes apply(rule *next, const struct numbers *k, struct lanes in) {
  in.w = in.w * k->keep;
  in.g = fma_(k->decay, in.w, in.g * k->scale);
  return next(k, in);
}

static struct numbers numbers_of(const struct cpu_update_call *call) {
  const struct pbt_hyper *hyper = &call->io->step->hyper;
  bool is_adam = call->io->kind == PBT_ADAM;
  float beta2 = is_adam ? hyper->beta2 : hyper->smoothing;
  return (struct numbers){.scale = splat(call->scale),
                          .keep = splat(call->keep),
                          .decay = splat(call->decay),
                          .down = splat(-call->rate),
                          .momentum = splat(is_adam ? hyper->beta1 : hyper->momentum),
                          .beta2 = splat(beta2),
                          .new1 = splat(1.0F - hyper->beta1),
                          .new2 = splat(1.0F - beta2),
                          .inverse = splat(call->inverse),
                          .epsilon = splat(hyper->epsilon)};
}

/* Elements begin .. end - 1; past the last whole register through a copy. */
ALWAYS void run(rule *next, bool has_s, const struct cpu_update_call *call, int64_t begin,
                int64_t end) {
  const struct pbt_update_io *io = call->io;
  const struct numbers k = numbers_of(call);
  float *w = io->weight, *v = io->moment[0], *s = io->moment[1];
  int64_t i = begin;
  for (; i + V <= end; i += V) {
    struct lanes a = {load_loose(w + i), load_loose(io->gradient + i), load_loose(v + i),
                      splat(0)};
    if (has_s) {
      a.s = load_loose(s + i);
    }
    a = apply(next, &k, a);
    store_loose(w + i, a.w);
    store_loose(v + i, a.v);
    if (has_s) {
      store_loose(s + i, a.s);
    }
  }
  if (i < end) {
    size_t bytes = (size_t)(end - i) * sizeof(float);
    struct lanes a = {splat(0), splat(0), splat(0), splat(0)};
    memcpy(&a.w, w + i, bytes);
    memcpy(&a.g, io->gradient + i, bytes);
    memcpy(&a.v, v + i, bytes);
    if (has_s) {
      memcpy(&a.s, s + i, bytes);
    }
    a = apply(next, &k, a);
    memcpy(w + i, &a.w, bytes);
    memcpy(v + i, &a.v, bytes);
    if (has_s) {
      memcpy(s + i, &a.s, bytes);
    }
  }
}

void KERNEL(update)(const void *context, int32_t begin, int32_t end, int32_t thread) {
  (void)thread;
  const struct cpu_update_call *call = context;
  int64_t from = (int64_t)begin * CPU_LANES, to = (int64_t)end * CPU_LANES;
  to = to < call->io->n ? to : call->io->n;
  if (call->io->kind == PBT_ADAM) {
    run(adam, true, call, from, to);
  } else if (call->io->kind == PBT_RMSPROP) {
    run(rmsprop, true, call, from, to);
  } else if (call->io->nesterov) {
    run(nesterov, false, call, from, to);
  } else {
    run(sgd, false, call, from, to);
  }
}

/* The squares of one share of the gradient: 16 chains, then by halves.  A float's square
 * is exact in double, so nothing is left to how a product is added. */
static double sum_squares(const float *g, int64_t n) {
  double lane[CPU_LANES] = {0};
  int64_t i = 0;
  for (; i + CPU_LANES <= n; i += CPU_LANES) {
    for (int l = 0; l < CPU_LANES; l++) {
      lane[l] += (double)g[i + l] * (double)g[i + l];
    }
  }
  for (int l = 0; i + l < n; l++) {
    lane[l] += (double)g[i + l] * (double)g[i + l];
  }
  for (int half = CPU_LANES / 2; half >= 1; half /= 2) {
    for (int l = 0; l < half; l++) {
      lane[l] += lane[l + half];
    }
  }
  return lane[0];
}

void KERNEL(update_squares)(const void *context, int32_t begin, int32_t end,
                            int32_t thread) {
  (void)thread;
  const struct cpu_update_call *call = context;
  int64_t vectors = (call->io->n + CPU_LANES - 1) / CPU_LANES;
  for (int32_t share = begin; share < end; share++) {
    int64_t from = vectors * share / CPU_SHARES * CPU_LANES;
    int64_t to = vectors * (share + 1) / CPU_SHARES * CPU_LANES;
    to = to < call->io->n ? to : call->io->n;
    call->squares[share] = sum_squares(call->io->gradient + from, to - from);
  }
}
