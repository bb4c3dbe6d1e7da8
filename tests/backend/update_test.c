/* The optimisers against loops in double, written from the papers' formulas. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support.h"
#include "tests/test.h"

enum { STEPS = 4 };

struct rule {
  enum pbt_optimizer kind;
  bool nesterov, decoupled;
  float clip_norm;
};

static const struct pbt_hyper usual = {.lr = 0.02F,
                                       .momentum = 0.9F,
                                       .beta1 = 0.9F,
                                       .beta2 = 0.99F,
                                       .smoothing = 0.95F,
                                       .epsilon = 1e-3F,
                                       .weight_decay = 0.03F};

/* Everything that an optimiser changes, as the reference sees it. */
struct model {
  int64_t n;
  double *w, *v, *s;
  double sum[2];
  int64_t t;
};

static double length_of(const float *g, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    sum += (double)g[i] * g[i];
  }
  return sqrt(sum);
}

static void reference_step(struct model *m, const float *gradient,
                           const struct rule *rule, const struct pbt_hyper *h) {
  double length = length_of(gradient, m->n), lr = h->lr;
  double scale =
      rule->clip_norm > 0 && length > rule->clip_norm ? rule->clip_norm / length : 1;
  m->t++;
  double c1 = 1 - pow(h->beta1, (double)m->t), c2 = 1 - pow(h->beta2, (double)m->t);
  for (int64_t i = 0; i < m->n; i++) {
    double *w = &m->w[i], *v = &m->v[i], *s = &m->s[i], g = gradient[i] * scale;
    if (rule->decoupled) {
      *w -= lr * h->weight_decay * *w;
    } else {
      g += h->weight_decay * *w;
    }
    switch (rule->kind) {
    case PBT_ADAM:
      *v = h->beta1 * *v + (1 - (double)h->beta1) * g;
      *s = h->beta2 * *s + (1 - (double)h->beta2) * g * g;
      *w -= lr * (*v / c1) / (sqrt(*s / c2) + h->epsilon);
      break;
    case PBT_RMSPROP:
      *s = h->smoothing * *s + (1 - (double)h->smoothing) * g * g;
      *v = h->momentum * *v + g / (sqrt(*s) + h->epsilon);
      *w -= lr * *v;
      break;
    default:
      *v = h->momentum * *v + g;
      *w -= lr * (rule->nesterov ? g + h->momentum * *v : *v);
    }
  }
}

/* The same in backend memory, with one guard value behind each array. */
struct arena {
  struct pbt_backend *b;
  struct pbt_update_io io;
  float *gradient;
};

static void *memory(struct pbt_backend *b, size_t bytes, const void *from) {
  void *made = NULL;
  ck_ok(b->ops->allocate(b, bytes, &made));
  if (from != NULL) {
    ck_ok(b->ops->write(b, made, from, bytes));
  }
  return made;
}

static struct arena open_arena(struct pbt_backend *b, int64_t n, const float *w,
                               const struct rule *rule, const struct pbt_hyper *hyper) {
  size_t bytes = (size_t)(n + 1) * sizeof(float);
  struct pbt_step step = {.hyper = *hyper};
  step.hyper.clip_norm = rule->clip_norm;
  struct arena a = {.b = b, .gradient = memory(b, bytes, NULL)};
  a.io = (struct pbt_update_io){.kind = rule->kind,
                                .nesterov = rule->nesterov,
                                .decoupled = rule->decoupled,
                                .n = n,
                                .weight = memory(b, bytes, NULL),
                                .gradient = a.gradient,
                                .moment = {memory(b, bytes, NULL), NULL},
                                .step = memory(b, sizeof step, &step)};
  if (rule->kind != PBT_SGD) {
    a.io.moment[1] = memory(b, bytes, NULL);
  }
  if (rule->kind == PBT_ADAM) {
    a.io.weight_sum = memory(b, 2 * sizeof(double), NULL);
  }
  ck_ok(b->ops->write(b, a.io.weight, w, (size_t)n * sizeof *w));
  return a;
}

static void close_arena(struct arena *a) {
  void *all[] = {a->gradient,     a->io.weight,     a->io.moment[0],
                 a->io.moment[1], a->io.weight_sum, (void *)a->io.step};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    a->b->ops->release(a->b, all[i]);
  }
}

static void arena_step(struct arena *a, const float *g) {
  ck_ok(a->b->ops->write(a->b, a->gradient, g, (size_t)a->io.n * sizeof *g));
  ck_ok(a->b->ops->update(a->b, &a->io));
}

static void compare(struct arena *a, const float *from, const double *want,
                    double tolerance) {
  int64_t n = a->io.n;
  float *got = malloc((size_t)(n + 1) * sizeof *got);
  ck_ok(a->b->ops->read(a->b, got, from, (size_t)(n + 1) * sizeof *got));
  double highest = 0, worst = 0;
  for (int64_t i = 0; i < n; i++) {
    highest = fmax(highest, fabs(want[i]));
    worst = fmax(worst, fabs(got[i] - want[i]));
  }
  ck_assert_msg(worst <= tolerance * highest, "off by %g of %g (kind %d, n %lld)", worst,
                highest, a->io.kind, (long long)n);
  ck_assert(got[n] == 0); // nothing past the end
  free(got);
}

static void follow(const struct rule *rule, int64_t n) {
  struct pbt_backend *b = support_open();
  size_t bytes = (size_t)n * sizeof(double);
  struct model m = {n, malloc(bytes), calloc(1, bytes), calloc(1, bytes), {0}, 0};
  float *w = malloc((size_t)n * sizeof *w), *g = malloc((size_t)n * sizeof *g);
  support_fill(w, n, 1, false);
  for (int64_t i = 0; i < n; i++) {
    m.w[i] = w[i];
  }
  struct arena a = open_arena(b, n, w, rule, &usual);
  for (int t = 0; t < STEPS; t++) {
    support_fill(g, n, (unsigned)(10 + t), false);
    reference_step(&m, g, rule, &usual);
    arena_step(&a, g);
  }
  compare(&a, a.io.weight, m.w, 1e-6);
  compare(&a, a.io.moment[0], m.v, 2e-6);
  if (rule->kind != PBT_SGD) {
    compare(&a, a.io.moment[1], m.s, 2e-6);
  }
  close_arena(&a);
  b->ops->close(b);
  free(m.w), free(m.v), free(m.s), free(w), free(g);
}

START_TEST(every_optimiser_matches_its_formula) {
  const int64_t sizes[] = {1, 15, 16, 17, 1000, 61706};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    for (int kind = 0; kind < PBT_OPTIMIZERS; kind++) {
      for (int bits = 0; bits < 8; bits++) {
        const struct rule rule = {(enum pbt_optimizer)kind, bits & 1, bits & 2,
                                  bits & 4 ? 0.7F : 0};
        if (!rule.nesterov || kind == PBT_SGD) {
          follow(&rule, sizes[k]);
        }
      }
    }
  }
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(a_short_gradient_is_not_clipped) {
  enum { N = 100 };
  float w[N], g[N], got[2][N];
  support_fill(w, N, 1, false);
  support_fill(g, N, 2, false);
  float length = (float)length_of(g, N);
  for (int k = 0; k < 2; k++) {
    const struct rule rule = {.clip_norm = k * 1.001F * length};
    struct pbt_backend *b = support_open();
    struct arena a = open_arena(b, N, w, &rule, &usual);
    arena_step(&a, g);
    ck_ok(b->ops->read(b, got[k], a.io.weight, sizeof got[k]));
    close_arena(&a);
    b->ops->close(b);
  }
  ck_assert_mem_eq(got[0], got[1], sizeof got[0]);
}
END_TEST

/* beta1 is searched: the moment is a mean all the same, so equal gradients give steps of
 * lr whatever the betas were. */
START_TEST(adam_stays_unbiased_when_beta_changes) {
  float w[16] = {0}, g[16], got[16];
  for (int i = 0; i < 16; i++) {
    g[i] = 0.25F;
  }
  struct pbt_backend *b = support_open();
  struct pbt_hyper hyper = usual;
  hyper.weight_decay = 0;
  hyper.epsilon = 1e-8F;
  struct arena a = open_arena(b, 16, w, &(struct rule){.kind = PBT_ADAM}, &hyper);
  const float beta[] = {0.9F, 0.5F, 0.99F, 0.8F};
  for (int t = 0; t < 4; t++) {
    struct pbt_step step = {.hyper = hyper};
    step.hyper.beta1 = beta[t];
    step.hyper.beta2 = 1 - (1 - beta[t]) / 7;
    ck_ok(b->ops->write(b, (void *)a.io.step, &step, sizeof step));
    arena_step(&a, g);
    ck_ok(b->ops->read(b, got, a.io.weight, sizeof got));
    ck_assert_double_eq_tol(got[3], -(t + 1) * (double)hyper.lr, 1e-6);
  }
  close_arena(&a);
  b->ops->close(b);
}
END_TEST

/* The same bits for any number of threads, and from both vector sets. */
START_TEST(bits_depend_on_nothing_but_the_numbers) {
  enum { N = 20011 };
  static float w[N], g[N], first[N], got[N];
  support_fill(w, N, 1, false);
  support_fill(g, N, 2, false);
  const struct {
    const char *isa;
    int threads;
  } one[] = {{"avx512", 1}, {"avx2", 1}, {"avx512", 3}, {"avx2", 2}};
  for (int kind = 0; kind < PBT_OPTIMIZERS; kind++) {
    const struct rule rule = {(enum pbt_optimizer)kind, kind == 0, kind == 2, 1.5F};
    bool any = false;
    for (size_t k = 0; k < sizeof one / sizeof *one; k++) {
      struct pbt_backend *b = support_open_isa(one[k].isa, one[k].threads);
      if (b == NULL) {
        continue;
      }
      struct arena a = open_arena(b, N, w, &rule, &usual);
      for (int t = 0; t < 3; t++) {
        arena_step(&a, g);
      }
      ck_ok(b->ops->read(b, any ? got : first, a.io.weight, sizeof got));
      ck_assert(!any || memcmp(got, first, sizeof got) == 0);
      any = true;
      close_arena(&a);
      b->ops->close(b);
    }
  }
}
END_TEST

START_TEST(no_step_takes_memory) {
  static float w[5000], g[5000];
  support_fill(w, 5000, 1, false);
  support_fill(g, 5000, 2, false);
  struct pbt_backend *b = support_open();
  const struct rule rule = {PBT_ADAM, false, true, 0.5F};
  struct arena a = open_arena(b, 5000, w, &rule, &usual);
  int64_t calls = pbt_mem_calls();
  arena_step(&a, g);
  ck_assert_int_eq(pbt_mem_calls(), calls);
  close_arena(&a);
  b->ops->close(b);
}
END_TEST

int main(void) {
  const TTest *const list[] = {
      every_optimiser_matches_its_formula, a_short_gradient_is_not_clipped,
      adam_stays_unbiased_when_beta_changes, bits_depend_on_nothing_but_the_numbers,
      no_step_takes_memory};
  int skip = support_skip();
  return skip != 0 ? skip
                   : pbt_run_suite("update", list, sizeof list / sizeof *list, CK_FORK);
}
