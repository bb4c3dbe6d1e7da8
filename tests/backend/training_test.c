/* What surrounds the layers: batches, the loss, and a small stack whole. */
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "base/memory.h"
#include "support.h"
#include "tests/test.h"

static void *memory(struct pbt_backend *b, size_t bytes, const void *from) {
  void *p = NULL;
  ck_ok(b->ops->allocate(b, bytes, &p));
  if (from != NULL) {
    ck_ok(b->ops->write(b, p, from, bytes));
  }
  return p;
}

/* ---- loss ---- */

enum { MAX_N = 64, MAX_C = PBT_MAX_CLASSES };

struct scored {
  struct pbt_tally tally;
  float z[MAX_N * MAX_C], dz[MAX_N * MAX_C];
  int32_t label[MAX_N];
};

/* Scores s->z through the backend; with `gradient` also s->dz. */
static void score(struct scored *s, int32_t n, int32_t classes, float smoothing,
                  bool gradient, bool by_class) {
  struct pbt_backend *b = support_open();
  const struct pbt_backend_ops *ops = b->ops;
  struct pbt_shape shape = {classes, 1, 1, 0};
  struct pbt_step step = {.hyper.label_smoothing = smoothing};
  memset(&s->tally, 0, sizeof s->tally);
  struct pbt_loss_io io = {
      .n = n,
      .n_class = classes,
      .logit = memory(b, ops->activation_bytes(b, shape, n), NULL),
      .label = memory(b, sizeof s->label, s->label),
      .dlogit = gradient ? memory(b, ops->activation_bytes(b, shape, n), NULL) : NULL,
      .step = memory(b, sizeof step, &step),
      .tally = memory(b, sizeof s->tally, &s->tally),
      .by_class = by_class};
  ck_ok(ops->activation_write(b, shape, n, (float *)io.logit, s->z));
  ck_ok(ops->loss(b, &io));
  ck_ok(ops->read(b, &s->tally, io.tally, sizeof s->tally));
  if (gradient) {
    ck_ok(ops->activation_read(b, shape, n, s->dz, io.dlogit));
  }
  const void *all[] = {io.logit, io.label, io.dlogit, io.step, io.tally};
  for (size_t i = 0; i < 5; i++) {
    ops->release(b, (void *)all[i]);
  }
  ops->close(b);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

static void random_scores(struct scored *s, int32_t n, int32_t classes, float spread) {
  support_fill(s->z, n * classes, (unsigned)(n + classes), false);
  for (int32_t i = 0; i < n * classes; i++) {
    s->z[i] *= spread;
  }
  for (int32_t i = 0; i < n; i++) {
    s->label[i] = (i * 7 + i / 3) % classes;
  }
}

static void check_loss(int32_t n, int32_t classes, float smoothing, float spread) {
  struct scored s;
  random_scores(&s, n, classes, spread);
  score(&s, n, classes, smoothing, true, true);
  double loss = 0, gradient[MAX_C];
  int64_t correct = 0, predicted[MAX_C] = {0}, actual[MAX_C] = {0}, hit[MAX_C] = {0};
  for (int32_t i = 0; i < n; i++) {
    const float *z = s.z + i * classes;
    int32_t best = 0;
    for (int32_t c = 1; c < classes; c++) {
      best = z[c] > z[best] ? c : best;
    }
    loss += reference_loss(classes, z, s.label[i], smoothing, gradient);
    correct += best == s.label[i];
    predicted[best]++;
    actual[s.label[i]]++;
    hit[best] += best == s.label[i];
    for (int32_t c = 0; c < classes; c++) {
      ck_assert_double_eq_tol(s.dz[i * classes + c], gradient[c] / n, 4e-7 / n);
    }
  }
  ck_assert_double_eq_tol(s.tally.loss, loss, 1e-6 * n + 1e-6 * loss);
  ck_assert_int_eq(s.tally.count, n);
  ck_assert_int_eq(s.tally.correct, correct);
  ck_assert_mem_eq(s.tally.predicted, predicted, sizeof predicted);
  ck_assert_mem_eq(s.tally.actual, actual, sizeof actual);
  ck_assert_mem_eq(s.tally.true_positive, hit, sizeof hit);
  /* Scoring alone knows no smoothing. */
  double plain = 0;
  for (int32_t i = 0; i < n; i++) {
    plain += reference_loss(classes, s.z + i * classes, s.label[i], 0, gradient);
  }
  score(&s, n, classes, smoothing, false, false);
  ck_assert_double_eq_tol(s.tally.loss, plain, 1e-6 * n + 1e-6 * plain);
  ck_assert_int_eq(s.tally.actual[0], 0);
}

START_TEST(loss_and_its_gradient_match_the_reference) {
  const int32_t n[] = {1, 15, 16, 17, 64}, classes[] = {1, 2, 10, 64};
  for (size_t i = 0; i < 5; i++) {
    for (size_t c = 0; c < 4; c++) {
      check_loss(n[i], classes[c], 0, 4);
      check_loss(n[i], classes[c], 0.1F, 4);
      check_loss(n[i], classes[c], 0.3F, 60);
    }
  }
}
END_TEST

START_TEST(nan_logit_is_never_correct) {
  for (int32_t at = 0; at < 10; at++) {
    struct scored s;
    random_scores(&s, 17, 10, 1);
    for (int32_t i = 0; i < 17; i++) {
      s.z[i * 10 + s.label[i]] = 5; // all correct but for the NaN
    }
    s.z[160 + at] = NAN;
    score(&s, 17, 10, 0, true, true);
    ck_assert(isnan(s.tally.loss));
    ck_assert_int_eq(s.tally.correct, 16);
    ck_assert_int_eq(s.tally.count, 17);
    int64_t predicted = 0;
    for (int32_t c = 0; c < 10; c++) {
      predicted += s.tally.predicted[c];
      ck_assert(isnan(s.dz[160 + c]));
      ck_assert(!isnan(s.dz[c]));
    }
    ck_assert_int_eq(predicted, 16);
  }
}
END_TEST

/* ---- batches ---- */

enum { IMAGES = 50 };

struct gathered {
  float *x;       // (n, c, h, w)
  int32_t *label; // (n)
  float *raw;     // the activation itself
  size_t raw_floats;
};

static struct gathered gather(const struct pbt_images *images, struct pbt_batch batch,
                              struct pbt_step step, int halo) {
  struct pbt_backend *b = support_open();
  struct pbt_shape shape = {images->c, images->h, images->w, halo};
  size_t bytes = b->ops->activation_bytes(b, shape, batch.n);
  struct gathered out = {calloc((size_t)batch.n * support_count(shape), sizeof(float)),
                         calloc((size_t)batch.n, sizeof(int32_t)), malloc(bytes),
                         bytes / sizeof(float)};
  struct pbt_dataset *dataset = NULL;
  ck_ok(b->ops->data_open(b, images, &dataset));
  float *x = memory(b, bytes, NULL);
  int32_t *label = memory(b, (size_t)batch.n * sizeof *label, NULL);
  batch.dataset = dataset;
  batch.step = memory(b, sizeof step, &step);
  ck_ok(b->ops->gather(b, &batch, shape, x, label));
  ck_ok(b->ops->activation_read(b, shape, batch.n, out.x, x));
  ck_ok(b->ops->read(b, out.raw, x, bytes));
  ck_ok(b->ops->read(b, out.label, label, (size_t)batch.n * sizeof *label));
  b->ops->release(b, x);
  b->ops->release(b, label);
  b->ops->release(b, (void *)batch.step);
  b->ops->data_close(b, dataset);
  b->ops->close(b);
  ck_assert_int_eq(pbt_mem_balance(), 0);
  return out;
}

enum { SEED = 9, MEMBER = 2 };

static int64_t expected_sample(const struct pbt_batch *batch, int64_t step, int32_t i) {
  int64_t p = batch->first + step * batch->n + i;
  int64_t at = p % batch->count;
  if (batch->shuffle) {
    struct pbt_permutation order =
        pbt_permutation_open(SEED, MEMBER, PBT_RNG_SHUFFLE, (uint64_t)(p / batch->count),
                             (uint64_t)batch->count);
    at = (int64_t)pbt_permutation_at(&order, (uint64_t)at);
  }
  return batch->begin + at;
}

static void check_gather(int c, int h, int w, int halo, struct pbt_batch batch,
                         int64_t step) {
  static uint8_t pixel[IMAGES * 4 * 32 * 32], label[IMAGES];
  struct pbt_images images = {.pixel = pixel,
                              .label = label,
                              .n = IMAGES,
                              .c = c,
                              .h = h,
                              .w = w,
                              .n_class = 10,
                              .scale = {0.01F, 0.02F, 0.03F, 0.5F},
                              .shift = {-1, 0.5F, 0.25F, 3}};
  int64_t bytes = c * h * w;
  for (int64_t i = 0; i < IMAGES * bytes; i++) {
    pixel[i] = (uint8_t)(i * 131 + i / 7);
  }
  for (int i = 0; i < IMAGES; i++) {
    label[i] = (uint8_t)(i * 3 % 10);
  }
  struct gathered got =
      gather(&images, batch,
             (struct pbt_step){.step = step, .seed = SEED, .member = MEMBER}, halo);
  for (int32_t i = 0; i < batch.n; i++) {
    int64_t sample = expected_sample(&batch, step, i);
    ck_assert_int_eq(got.label[i], label[sample]);
    for (int64_t j = 0; j < bytes; j++) {
      int channel = (int)(j / (h * w));
      double value = pixel[sample * bytes + j] * (double)images.scale[channel] +
                     images.shift[channel];
      ck_assert_double_eq_tol(got.x[i * bytes + j], value, 1e-5);
    }
  }
  /* Samples beyond n and every halo are 0: as many floats as values differ from 0. */
  int64_t raw = 0, own = 0;
  for (size_t i = 0; i < got.raw_floats; i++) {
    raw += got.raw[i] != 0;
  }
  for (int64_t i = 0; i < batch.n * bytes; i++) {
    own += got.x[i] != 0;
  }
  ck_assert_int_eq(raw, own);
  free(got.x), free(got.label), free(got.raw);
}

START_TEST(batches_match_a_plain_loop) {
  const int32_t n[] = {1, 15, 16, 17, 64, 150};
  for (size_t i = 0; i < 6; i++) {
    struct pbt_batch plain = {.begin = 3, .count = 40, .n = n[i], .first = 37};
    struct pbt_batch shuffled = {.begin = 5, .count = 41, .n = n[i], .shuffle = true};
    check_gather(1, 28, 28, 2, plain, 0);
    check_gather(3, 32, 32, 1, plain, 0);
    check_gather(4, 3, 5, 0, shuffled, 0);
    for (int64_t step = 0; step < 5; step++) { // over the ends of epochs
      check_gather(1, 7, 9, 0, shuffled, step);
      check_gather(2, 5, 3, 2, shuffled, step * 1000003);
    }
  }
}
END_TEST

START_TEST(an_epoch_takes_every_sample_once) {
  struct pbt_batch batch = {.begin = 2, .count = 48, .n = 16, .shuffle = true};
  int seen[IMAGES] = {0}, moved = 0;
  for (int64_t step = 0; step < 3; step++) {
    check_gather(1, 2, 2, 0, batch, step);
    for (int32_t i = 0; i < 16; i++) {
      int64_t sample = expected_sample(&batch, step, i);
      seen[sample]++;
      moved += sample != 2 + step * 16 + i;
    }
  }
  for (int i = 0; i < IMAGES; i++) {
    ck_assert_int_eq(seen[i], i >= 2);
  }
  ck_assert_int_gt(moved, 24);
}
END_TEST

/* ---- a small stack ---- */

enum { STACK_N = 24, STACK_CLASSES = 5, CONV_W = 6 * 25, DENSE_IN = 6 * 9 };
enum { DENSE_W = STACK_CLASSES * DENSE_IN };
enum { STACK_W = CONV_W + 6 + DENSE_W + STACK_CLASSES };

/* conv 6@5x5, ReLU, pool -> dense; parameters back to back. */
struct stack {
  struct pbt_backend *b;
  struct pbt_layer_desc desc[2];
  struct pbt_layer *layer[2];
  float *x, *h, *z, *dh, *dz, *dx, *weight, *gradient;
  int32_t *label;
  struct pbt_step *step;
  struct pbt_tally *tally;
};

static struct stack stack_open(void) {
  struct stack s = {.b = support_open()};
  const struct pbt_backend_ops *ops = s.b->ops;
  s.desc[0] = support_conv((struct pbt_shape){1, 6, 6, 2}, 6, 5, 1, 2, 2, true, 0);
  s.desc[1] = support_dense(s.desc[0].out, STACK_CLASSES, false);
  struct pbt_shape shape[] = {s.desc[0].in,  s.desc[0].out, s.desc[1].out,
                              s.desc[0].out, s.desc[1].out, s.desc[0].in};
  float **activation[] = {&s.x, &s.h, &s.z, &s.dh, &s.dz, &s.dx};
  for (int i = 0; i < 6; i++) {
    *activation[i] = memory(s.b, ops->activation_bytes(s.b, shape[i], STACK_N), NULL);
  }
  for (int i = 0; i < 2; i++) {
    ck_ok(ops->layer_open(s.b, &s.desc[i], STACK_N, &s.layer[i]));
  }
  s.weight = memory(s.b, STACK_W * sizeof(float), NULL);
  s.gradient = memory(s.b, STACK_W * sizeof(float), NULL);
  struct pbt_step step = {.hyper.label_smoothing = 0.1F};
  s.step = memory(s.b, sizeof step, &step);
  s.tally = memory(s.b, sizeof *s.tally, NULL);
  float x[STACK_N * 36];
  int32_t label[STACK_N];
  support_fill(x, STACK_N * 36, 5, false);
  for (int i = 0; i < STACK_N; i++) {
    label[i] = i % STACK_CLASSES;
  }
  s.label = memory(s.b, sizeof label, label);
  ck_ok(ops->activation_write(s.b, shape[0], STACK_N, s.x, x));
  return s;
}

static void stack_close(struct stack *s) {
  void *all[] = {s->x,      s->h,        s->z,     s->dh,   s->dz,   s->dx,
                 s->weight, s->gradient, s->label, s->step, s->tally};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    s->b->ops->release(s->b, all[i]);
  }
  for (int i = 0; i < 2; i++) {
    s->b->ops->layer_close(s->b, s->layer[i]);
  }
  s->b->ops->close(s->b);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

/* Mean loss with these weights (and dx of x); the gradient stays in s->gradient. */
static double stack_loss(struct stack *s, const float *weight) {
  const struct pbt_backend_ops *ops = s->b->ops;
  struct pbt_tally none = {0}, tally;
  ck_ok(ops->write(s->b, s->weight, weight, STACK_W * sizeof(float)));
  ck_ok(ops->write(s->b, s->tally, &none, sizeof none));
  float *w = s->weight, *g = s->gradient;
  struct pbt_layer_io io[2] = {{.n = STACK_N,
                                .x = s->x,
                                .y = s->h,
                                .weight = w,
                                .bias = w + CONV_W,
                                .dy = s->dh,
                                .dx = s->dx,
                                .dweight = g,
                                .dbias = g + CONV_W},
                               {.n = STACK_N,
                                .x = s->h,
                                .y = s->z,
                                .weight = w + CONV_W + 6,
                                .bias = w + CONV_W + 6 + DENSE_W,
                                .dy = s->dz,
                                .dx = s->dh,
                                .dweight = g + CONV_W + 6,
                                .dbias = g + CONV_W + 6 + DENSE_W}};
  struct pbt_loss_io loss = {.n = STACK_N,
                             .n_class = STACK_CLASSES,
                             .logit = s->z,
                             .label = s->label,
                             .dlogit = s->dz,
                             .step = s->step,
                             .tally = s->tally};
  ck_ok(ops->forward(s->b, s->layer[0], &io[0]));
  ck_ok(ops->forward(s->b, s->layer[1], &io[1]));
  ck_ok(ops->loss(s->b, &loss));
  ck_ok(ops->backward(s->b, s->layer[1], &io[1]));
  ck_ok(ops->backward(s->b, s->layer[0], &io[0]));
  ck_ok(ops->read(s->b, &tally, s->tally, sizeof tally));
  return tally.loss / STACK_N;
}

/* Along the gradient itself, and along random directions. */
START_TEST(gradients_match_finite_differences) {
  if (support_precision() != PBT_FLOAT32) {
    return; // a loss of rounded operands has steps
  }
  struct stack s = stack_open();
  float w[STACK_W], moved[STACK_W], g[STACK_W], direction[STACK_W];
  support_fill(w, STACK_W, 77, false);
  for (int i = 0; i < STACK_W; i++) {
    w[i] *= 0.4F;
  }
  stack_loss(&s, w);
  ck_ok(s.b->ops->read(s.b, g, s.gradient, sizeof g));
  for (int trial = 0; trial < 8; trial++) {
    support_fill(direction, STACK_W, (unsigned)trial, false);
    double along = 0, length = 0;
    for (int i = 0; i < STACK_W; i++) {
      direction[i] = trial == 0 ? g[i] : direction[i];
      length += direction[i] * direction[i];
    }
    double loss[2], h = 2e-3;
    for (int side = 0; side < 2; side++) {
      for (int i = 0; i < STACK_W; i++) {
        double d = direction[i] / sqrt(length);
        along += side * d * g[i];
        moved[i] = (float)(w[i] + (side == 0 ? -h : h) * d);
      }
      loss[side] = stack_loss(&s, moved);
    }
    double slope = (loss[1] - loss[0]) / (2 * h);
    ck_assert_msg(fabs(slope - along) <= 2e-3 + 5e-3 * fabs(along),
                  "direction %d: %g by differences, %g by backward", trial, slope, along);
  }
  stack_close(&s);
}
END_TEST

START_TEST(a_step_allocates_nothing) {
  struct stack s = stack_open();
  float w[STACK_W];
  support_fill(w, STACK_W, 1, false);
  stack_loss(&s, w);
  int64_t calls = pbt_mem_calls();
  for (int i = 0; i < 3; i++) {
    stack_loss(&s, w);
  }
  ck_assert_int_eq(pbt_mem_calls(), calls);
  stack_close(&s);
}
END_TEST

static pbt_status count_three(void *context) {
  int *n = context;
  return ++*n < 3 ? PBT_OK : pbt_fail(PBT_ERR_INTERNAL, "three");
}

START_TEST(repeat_counts_steps_and_stops_at_an_error) {
  struct pbt_backend *b = support_open();
  struct pbt_step zero = {0}, *step = memory(b, sizeof *step, &zero);
  int n = -100;
  ck_ok(b->ops->repeat(b, 1, 5, step, count_three, &n));
  ck_ok(b->ops->read(b, &zero, step, sizeof zero));
  ck_assert_int_eq(zero.step, 5);
  n = 1; // the second call fails, where a step may be recorded
  ck_fails(b->ops->repeat(b, 2, 5, step, count_three, &n), PBT_ERR_INTERNAL, "three");
  b->ops->release(b, step);
  b->ops->close(b);
}
END_TEST

int main(void) {
  int skip = support_skip();
  if (skip != 0) {
    return skip;
  }
  const TTest *const list[] = {loss_and_its_gradient_match_the_reference,
                               nan_logit_is_never_correct,
                               batches_match_a_plain_loop,
                               an_epoch_takes_every_sample_once,
                               gradients_match_finite_differences,
                               a_step_allocates_nothing,
                               repeat_counts_steps_and_stops_at_an_error};
  return pbt_run_suite("training", list, sizeof list / sizeof *list, CK_FORK);
}
