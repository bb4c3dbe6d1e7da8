/*
 * Augmentation: the definition (backend/augment.h) against a reference in floating point
 * written from its words, its properties, and the backend's gather against it, byte for
 * byte.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/augment.h"
#include "base/memory.h"
#include "support.h"
#include "tests/test.h"

static struct pbt_step step_of(struct pbt_hyper hyper) {
  return (struct pbt_step){.seed = 0x123456789abcdef0u, .member = 5, .hyper = hyper};
}

/* ---- a reference in doubles ---- */

static double unit(struct pbt_rng *rng) {
  return pbt_rng_u32(rng) / 4294967296.0;
}

struct draws {
  bool flip;
  double angle, right, down, contrast, brightness, side, left, top;
};

static struct draws reference_draw(const struct pbt_step *step, int64_t position, int h,
                                   int w) {
  const struct pbt_hyper *y = &step->hyper;
  struct pbt_rng rng =
      pbt_rng_open(step->seed, step->member, PBT_RNG_AUGMENT, (uint64_t)position);
  struct draws d;
  d.flip = unit(&rng) < (double)y->flip;
  d.angle = (2 * unit(&rng) - 1) * (double)y->rotation * acos(-1) / 180;
  d.right = floor((2 * unit(&rng) - 1) * ((double)y->shift + 0.5) + 0.5);
  d.down = floor((2 * unit(&rng) - 1) * ((double)y->shift + 0.5) + 0.5);
  d.contrast = 1 + (2 * unit(&rng) - 1) * (double)y->contrast;
  d.brightness = (2 * unit(&rng) - 1) * (double)y->brightness * 255;
  d.side = floor((double)y->cutout + unit(&rng));
  d.left = floor(unit(&rng) * w) - floor(d.side / 2);
  d.top = floor(unit(&rng) * h) - floor(d.side / 2);
  return d;
}

static double pixel_at(const uint8_t *plane, int h, int w, int y, int x) {
  return y < 0 || y >= h || x < 0 || x >= w ? 0 : plane[y * w + x];
}

static double reference_pixel(const struct draws *d, const uint8_t *plane, int h, int w,
                              double mean, int y, int x) {
  if (x >= d->left && x < d->left + d->side && y >= d->top && y < d->top + d->side) {
    return 0;
  }
  double u = x - d->right - (w - 1) / 2.0, v = y - d->down - (h - 1) / 2.0;
  double sx = cos(d->angle) * u + sin(d->angle) * v;
  double sy = cos(d->angle) * v - sin(d->angle) * u + (h - 1) / 2.0;
  sx = (d->flip ? -sx : sx) + (w - 1) / 2.0;
  int left = (int)floor(sx), top = (int)floor(sy);
  double fx = sx - left, fy = sy - top;
  double value = (1 - fy) * ((1 - fx) * pixel_at(plane, h, w, top, left) +
                             fx * pixel_at(plane, h, w, top, left + 1)) +
                 fy * ((1 - fx) * pixel_at(plane, h, w, top + 1, left) +
                       fx * pixel_at(plane, h, w, top + 1, left + 1));
  value = mean + d->contrast * (value - mean) + d->brightness;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

enum { MAX_PIXELS = 40 * 40 };

static void make_plane(uint8_t *plane, int n, unsigned seed) {
  struct pbt_rng rng = pbt_rng_open(seed, 0, PBT_RNG_TEST, 0);
  for (int i = 0; i < n; i++) {
    plane[i] = (uint8_t)pbt_rng_u32(&rng);
  }
}

static const struct {
  int h, w;
} sizes[] = {{28, 28}, {32, 32}, {7, 12}, {40, 3}, {1, 1}};

static const struct pbt_hyper hypers[] = {
    {.shift = 3},
    {.shift = 1.3f},
    {.shift = 100},
    {.flip = 0.5f},
    {.flip = 1, .shift = 2},
    {.cutout = 8},
    {.cutout = 2.5f, .shift = 2},
    {.rotation = 10},
    {.rotation = 180, .flip = 0.5f},
    {.contrast = 0.5f},
    {.contrast = 1, .brightness = 1},
    {.brightness = 0.3f},
    {.shift = 2.2f,
     .flip = 0.4f,
     .cutout = 5.5f,
     .rotation = 30,
     .brightness = 0.2f,
     .contrast = 0.4f},
};
enum {
  N_SIZES = sizeof sizes / sizeof *sizes,
  N_HYPERS = sizeof hypers / sizeof *hypers
};

/* Without a turn only the tone rounds, by less than one step.  With one, places are in
 * 1/256 of a pixel, which between neighbours 255 apart is up to two steps of each axis,
 * times the contrast. */
START_TEST(the_definition_is_what_its_words_say) {
  uint8_t plane[MAX_PIXELS];
  for (int k = 0; k < N_HYPERS; k++) {
    struct pbt_step step = step_of(hypers[k]);
    double limit =
        step.hyper.rotation > 0 ? 4.0 * (1 + (double)step.hyper.contrast) : 1.0;
    for (int s = 0; s < N_SIZES; s++) {
      int h = sizes[s].h, w = sizes[s].w;
      make_plane(plane, h * w, (unsigned)s);
      for (int64_t position = 0; position < 16; position++) {
        struct pbt_augment it;
        pbt_augment_draw(&step, position, h, w, &it);
        struct draws d = reference_draw(&step, position, h, w);
        for (int i = 0; i < h * w; i++) {
          uint8_t got = pbt_augment_pixel(&it, plane, h, w, 100 * 256, i / w, i % w);
          double want = reference_pixel(&d, plane, h, w, 100, i / w, i % w);
          if (fabs(got - want) <= limit) {
            continue;
          }
          ck_abort_msg("hyper %d, %d x %d, position %d, pixel %d: %d, reference %g", k, h,
                       w, (int)position, i, got, want);
        }
      }
    }
  }
}
END_TEST

START_TEST(sine_and_cosine_are_right_to_the_last_place) {
  for (int32_t angle = -180 * 65536; angle <= 180 * 65536; angle += 997) {
    int32_t sine, cosine;
    pbt_augment_turn(angle, &sine, &cosine);
    double exact = angle / 65536.0 * acos(-1) / 180;
    ck_assert_double_le(fabs(sine - sin(exact) * 32768), 0.51);
    ck_assert_double_le(fabs(cosine - cos(exact) * 32768), 0.51);
  }
}
END_TEST

START_TEST(words_are_those_of_the_stream) {
  struct pbt_step step = step_of((struct pbt_hyper){0});
  const int64_t positions[] = {0, 1, 4711, INT64_C(0x123456789abc)};
  for (int k = 0; k < 4; k++) {
    struct pbt_rng rng =
        pbt_rng_open(step.seed, step.member, PBT_RNG_AUGMENT, (uint64_t)positions[k]);
    for (uint32_t block = 0; block < 3; block++) {
      uint32_t word[4];
      pbt_augment_words(&step, positions[k], block, word);
      for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(word[i], pbt_rng_u32(&rng));
      }
    }
  }
}
END_TEST

/* ---- properties ---- */

static struct pbt_augment nothing(void) {
  struct pbt_augment it = {.cosine = 32768, .factor = 65536};
  return it;
}

static void apply(const struct pbt_augment *it, const uint8_t *from, int h, int w,
                  uint8_t *to) {
  for (int i = 0; i < h * w; i++) {
    to[i] = pbt_augment_pixel(it, from, h, w, 0, i / w, i % w);
  }
}

START_TEST(flips_and_turns_undo_themselves) {
  enum { S = 9 };
  uint8_t plane[S * S], once[S * S], twice[S * S];
  make_plane(plane, S * S, 3);
  struct pbt_augment flip = nothing();
  flip.flip = true;
  apply(&flip, plane, S, S, once);
  ck_assert_int_eq(once[0], plane[S - 1]);
  apply(&flip, once, S, S, twice);
  ck_assert_mem_eq(twice, plane, S * S);
  for (int quarter = -2; quarter <= 2; quarter++) { // right angles move whole pixels
    struct pbt_augment turn = nothing();
    turn.turned = true;
    pbt_augment_turn(quarter * 90 * 65536, &turn.sine, &turn.cosine);
    memcpy(twice, plane, sizeof plane);
    for (int i = 0; i < 4; i++) {
      apply(&turn, twice, S, S, once);
      memcpy(twice, once, sizeof once);
    }
    ck_assert_mem_eq(twice, plane, S * S);
  }
  struct pbt_augment half = nothing();
  half.turned = true;
  pbt_augment_turn(180 * 65536, &half.sine, &half.cosine);
  apply(&half, plane, S, S, once);
  for (int i = 0; i < S * S; i++) {
    ck_assert_int_eq(once[i], plane[S * S - 1 - i]);
  }
}
END_TEST

START_TEST(a_shift_moves_pixels_and_lets_black_in) {
  uint8_t plane[7 * 5], moved[7 * 5];
  make_plane(plane, 35, 4);
  struct pbt_augment shift = nothing();
  shift.right = 2;
  shift.down = -3;
  apply(&shift, plane, 7, 5, moved);
  for (int y = 0; y < 7; y++) {
    for (int x = 0; x < 5; x++) {
      int want = x >= 2 && y + 3 < 7 ? plane[(y + 3) * 5 + x - 2] : 0;
      ck_assert_int_eq(moved[y * 5 + x], want);
    }
  }
}
END_TEST

/* How often each shift falls, and the others' rates and means. */
START_TEST(rates_are_as_said) {
  enum { N = 40000 };
  const double shift[] = {2, 1.5};
  for (int k = 0; k < 2; k++) {
    struct pbt_step step = step_of((struct pbt_hyper){.shift = (float)shift[k],
                                                      .flip = 0.3f,
                                                      .cutout = 6.25f,
                                                      .rotation = 15,
                                                      .brightness = 0.4f,
                                                      .contrast = 0.5f});
    int right[5] = {0}, down[5] = {0}, flips = 0;
    double side = 0, factor = 0, offset = 0, square = 0, sine = 0;
    for (int64_t i = 0; i < N; i++) {
      struct pbt_augment it;
      pbt_augment_draw(&step, i, 28, 28, &it);
      ck_assert(abs(it.right) <= 2 && abs(it.down) <= 2);
      right[it.right + 2]++;
      down[it.down + 2]++;
      flips += it.flip;
      side += it.cut_side;
      factor += it.factor / 65536.0;
      offset += it.offset / 65536.0;
      square += it.offset / 65536.0 * (it.offset / 65536.0);
      sine += it.sine;
    }
    for (int d = 0; d < 5; d++) {
      bool outermost = d == 0 || d == 4;
      double p = (outermost ? shift[k] - 1 : 1) / (2 * shift[k] + 1);
      double within = 4.5 * sqrt(N * p * (1 - p));
      ck_assert_double_le(fabs(right[d] - N * p), within);
      ck_assert_double_le(fabs(down[d] - N * p), within);
    }
    ck_assert_double_le(fabs(flips - N * 0.3), 4.5 * sqrt(N * 0.21));
    ck_assert_double_le(fabs(side / N - 6.25), 4.5 * sqrt(0.1875 / N));
    ck_assert_double_le(fabs(factor / N - 1), 4.5 * 0.5 / sqrt(3.0 * N));
    ck_assert_double_le(fabs(offset / N), 4.5 * 102 / sqrt(3.0 * N));
    ck_assert_double_le(fabs(square / N / (102.0 * 102 / 3) - 1), 0.03);
    ck_assert_double_le(fabs(sine / N / 32768), 4.5 * 0.15 / sqrt(N));
  }
}
END_TEST

START_TEST(one_hyperparameter_leaves_the_draws_of_the_others) {
  struct pbt_step some = step_of((struct pbt_hyper){.shift = 3, .contrast = 0.5f});
  struct pbt_step more = some;
  more.hyper.flip = 0.5f;
  more.hyper.rotation = 20;
  more.hyper.cutout = 4;
  for (int64_t i = 0; i < 100; i++) {
    struct pbt_augment a, b;
    pbt_augment_draw(&some, i, 28, 28, &a);
    pbt_augment_draw(&more, i, 28, 28, &b);
    ck_assert_int_eq(a.right, b.right);
    ck_assert_int_eq(a.down, b.down);
    ck_assert_int_eq(a.factor, b.factor);
  }
}
END_TEST

START_TEST(contrast_keeps_what_lies_at_the_mean) {
  struct pbt_augment it = nothing();
  it.toned = true;
  for (it.factor = 0; it.factor <= 131072; it.factor += 4096) {
    const uint8_t at_mean = 130;
    ck_assert_int_eq(pbt_augment_pixel(&it, &at_mean, 1, 1, 130 * 256, 0, 0), 130);
  }
}
END_TEST

START_TEST(values_out_of_bounds_count_as_the_limit) {
  const float odd[] = {-1, (float)NAN, (float)INFINITY, 1e30f};
  for (int k = 0; k < 4; k++) {
    struct pbt_step step = step_of((struct pbt_hyper){.shift = odd[k],
                                                      .flip = odd[k],
                                                      .cutout = odd[k],
                                                      .rotation = odd[k],
                                                      .brightness = odd[k],
                                                      .contrast = odd[k]});
    uint8_t plane[12];
    make_plane(plane, 12, 1);
    for (int64_t i = 0; i < 100; i++) {
      struct pbt_augment it;
      pbt_augment_draw(&step, i, 3, 4, &it);
      for (int p = 0; p < 12; p++) {
        uint8_t got = pbt_augment_pixel(&it, plane, 3, 4, 0, p / 4, p % 4);
        ck_assert(k >= 2 || got == plane[p]);
      }
    }
  }
}
END_TEST

/* ---- the backend ---- */

/* A data set whose pixel v becomes v - 100, the mean being 100, gathered by a backend. */
struct bench {
  struct pbt_backend *backend;
  struct pbt_images images;
  struct pbt_dataset *dataset;
  struct pbt_shape shape;
  uint8_t *pixel, *label;
};

static struct bench bench_open(int threads, int n, int c, int h, int w) {
  struct bench bench = {.backend = support_open_isa(getenv("PBT_ISA"), threads),
                        .shape = {.c = c, .h = h, .w = w, .halo = 2}};
  bench.pixel = malloc((size_t)(n * c * h * w));
  bench.label = calloc((size_t)n, 1);
  make_plane(bench.pixel, n * c * h * w, 9);
  bench.images = (struct pbt_images){.pixel = bench.pixel,
                                     .label = bench.label,
                                     .n = n,
                                     .c = c,
                                     .h = h,
                                     .w = w,
                                     .n_class = 2,
                                     .scale = {1, 1, 1, 1},
                                     .shift = {-100, -100, -100, -100}};
  ck_ok(bench.backend->ops->data_open(bench.backend, &bench.images, &bench.dataset));
  return bench;
}

static void bench_close(struct bench *bench) {
  bench->backend->ops->data_close(bench->backend, bench->dataset);
  bench->backend->ops->close(bench->backend);
  free(bench->pixel);
  free(bench->label);
}

/* A batch as canonical floats, and no memory taken on the way. */
static float *gather(struct bench *bench, struct pbt_batch batch,
                     const struct pbt_step *step) {
  const struct pbt_backend_ops *ops = bench->backend->ops;
  void *x, *at, *label;
  ck_ok(ops->allocate(bench->backend,
                      ops->activation_bytes(bench->backend, bench->shape, batch.n), &x));
  ck_ok(ops->allocate(bench->backend, sizeof *step, &at));
  ck_ok(ops->allocate(bench->backend, (size_t)batch.n * sizeof(int32_t), &label));
  ck_ok(ops->write(bench->backend, at, step, sizeof *step));
  batch.dataset = bench->dataset;
  batch.step = at;
  int64_t calls = pbt_mem_calls();
  ck_ok(ops->gather(bench->backend, &batch, bench->shape, x, label));
  ck_assert_int_eq(pbt_mem_calls(), calls);
  int64_t count = support_count(bench->shape) * batch.n;
  float *host = malloc((size_t)count * sizeof *host);
  ck_ok(ops->activation_read(bench->backend, bench->shape, batch.n, host, x));
  ops->release(bench->backend, x);
  ops->release(bench->backend, at);
  ops->release(bench->backend, label);
  return host;
}

START_TEST(gather_makes_what_the_definition_says) {
  enum { N = 50, BATCH = 37 };
  for (int s = 0; s < N_SIZES; s++) {
    int h = sizes[s].h, w = sizes[s].w, c = 1 + s % 4;
    struct bench bench = bench_open(1 + s % 3, N, c, h, w);
    for (int k = 0; k < N_HYPERS; k++) {
      struct pbt_step step = step_of(hypers[k]);
      step.step = 3;
      struct pbt_batch batch = {.begin = 10, .count = 40, .n = BATCH, .augment = true};
      float *got = gather(&bench, batch, &step);
      for (int i = 0; i < BATCH; i++) {
        int64_t position = 3 * BATCH + i;
        const uint8_t *image = bench.pixel + (10 + position % 40) * c * h * w;
        struct pbt_augment it;
        pbt_augment_draw(&step, position, h, w, &it);
        for (int p = 0; p < c * h * w; p++) {
          const uint8_t *plane = image + p / (h * w) * (h * w);
          int at = p % (h * w);
          uint8_t want = pbt_augment_pixel(&it, plane, h, w, 100 * 256, at / w, at % w);
          if (got[i * c * h * w + p] == (float)want - 100) {
            continue;
          }
          ck_abort_msg("hyper %d, %d x %d x %d, sample %d, pixel %d: %g, wanted %d", k, c,
                       h, w, i, p, (double)got[i * c * h * w + p] + 100, want);
        }
      }
      free(got);
    }
    bench_close(&bench);
  }
}
END_TEST

START_TEST(without_hyperparameters_nothing_changes) {
  struct bench bench = bench_open(1, 40, 3, 11, 9);
  struct pbt_step step = step_of((struct pbt_hyper){.lr = 0.1f, .dropout = 0.5f});
  struct pbt_batch batch = {.count = 40, .n = 20, .shuffle = true};
  float *plain = gather(&bench, batch, &step);
  batch.augment = true;
  float *augmented = gather(&bench, batch, &step);
  ck_assert_mem_eq(plain, augmented, 20 * 3 * 11 * 9 * sizeof *plain);
  free(plain);
  step.hyper.shift = 2;
  batch.augment = false; // scoring: whatever the hyperparameters
  plain = gather(&bench, batch, &step);
  ck_assert_mem_eq(plain, augmented, 20 * 3 * 11 * 9 * sizeof *plain);
  free(plain);
  free(augmented);
  bench_close(&bench);
}
END_TEST

/* A sample is known by its place in the stream: other batches, the same images. */
START_TEST(images_do_not_depend_on_how_the_stream_is_cut) {
  enum { IMAGE = 3 * 12 * 12 };
  struct bench bench = bench_open(2, 40, 3, 12, 12);
  struct pbt_step step = step_of(hypers[N_HYPERS - 1]);
  struct pbt_batch batch = {.count = 40, .n = 60, .shuffle = true, .augment = true};
  float *whole = gather(&bench, batch, &step);
  batch.n = 20;
  for (step.step = 0; step.step < 3; step.step++) {
    float *part = gather(&bench, batch, &step);
    ck_assert_mem_eq(part, whole + step.step * 20 * IMAGE, 20 * IMAGE * sizeof *part);
    free(part);
  }
  /* the second time round the data set other draws are made */
  step.step = 0;
  batch = (struct pbt_batch){.count = 40, .n = 40, .augment = true};
  float *first = gather(&bench, batch, &step);
  step.step = 1;
  float *second = gather(&bench, batch, &step);
  ck_assert_mem_ne(first, second, 40 * IMAGE * sizeof *first);
  free(first);
  free(second);
  free(whole);
  bench_close(&bench);
}
END_TEST

int main(void) {
  if (support_skip() != 0) {
    return support_skip();
  }
  const TTest *const list[] = {the_definition_is_what_its_words_say,
                               sine_and_cosine_are_right_to_the_last_place,
                               words_are_those_of_the_stream,
                               flips_and_turns_undo_themselves,
                               a_shift_moves_pixels_and_lets_black_in,
                               rates_are_as_said,
                               one_hyperparameter_leaves_the_draws_of_the_others,
                               contrast_keeps_what_lies_at_the_mean,
                               values_out_of_bounds_count_as_the_limit,
                               gather_makes_what_the_definition_says,
                               without_hyperparameters_nothing_changes,
                               images_do_not_depend_on_how_the_stream_is_cut};
  return pbt_run_suite("augment", list, sizeof list / sizeof *list, CK_FORK);
}
