/* Every layer, forward and backward, against the double-precision loops. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/memory.h"
#include "support.h"
#include "tests/test.h"

/* Of the largest value.  Values of a grid are exact in every precision, and so are their
 * products; other operands of a product lose up to a part in 2^11 (TF32) or 2^8
 * (bfloat16, and a convolution's results too), and a bias may leave a result smaller than
 * they are. */
static double tolerance(bool product, bool grid) {
  enum pbt_precision precision = support_precision();
  if (!product || precision == PBT_FLOAT32 || (grid && precision == PBT_TF32)) {
    return 1e-5;
  }
  return precision == PBT_TF32 ? 2e-3 : 2e-2;
}

/* What a rounded convolution decides otherwise, a ReLU or the place of a maximum. */
static bool decides(const struct pbt_layer_desc *d) {
  return support_precision() == PBT_BF16 && d->kind == PBT_LAYER_CONV &&
         (d->relu || d->pool > 1);
}

/* Which results are compared; `grid` as support_fill has it. */
static void compare(const struct bench_layer *l, bool grid, bool gradients) {
  const struct pbt_layer_desc *d = &l->desc;
  bool product = d->kind == PBT_LAYER_CONV || d->kind == PBT_LAYER_DENSE;
  double error[] = {support_error(l->y, l->ref_y, l->out),
                    support_error(l->mean, l->ref_mean, l->biases),
                    support_error(l->variance, l->ref_variance, l->biases),
                    support_error(l->dx, l->ref_dx, l->in),
                    support_error(l->dskip, l->ref_dskip, l->skipped),
                    support_error(l->dweight, l->ref_dweight, l->weights),
                    l->no_bias ? 0 : support_error(l->dbias, l->ref_dbias, l->biases)};
  const char *what[] = {"y", "mean", "variance", "dx", "dskip", "dweight", "dbias"};
  for (int i = 0; i < (gradients ? 7 : 3); i++) {
    ck_assert_msg(
        error[i] <= tolerance(product, grid),
        "%s of kind %d, %dx%dx%d -> %dx%dx%d k %d pool %d pad %d stride %d relu "
        "%d skip %dx%dx%d add %d, batch %d: error %.3g",
        what[i], d->kind, d->in.c, d->in.h, d->in.w, d->out.c, d->out.h, d->out.w,
        d->kernel, d->pool, d->pad, d->stride, d->relu, d->skip.c, d->skip.h, d->skip.w,
        l->add, l->n, error[i]);
  }
}

static void check(struct pbt_backend *backend, struct pbt_layer_desc desc, int32_t n,
                  bool grid) {
  struct bench_layer l = support_layer_new(desc, n, (unsigned)(n * 31 + desc.in.w), grid);
  bool product = desc.kind == PBT_LAYER_CONV || desc.kind == PBT_LAYER_DENSE;
  l.add = grid == product; // each kind both ways, where gradients are compared or not
  l.no_bias = desc.kind == PBT_LAYER_CONV && desc.in.c % 2 == 0;
  support_layer_reference(&l);
  support_layer_run(backend, &l, n < 32 ? 32 : n, NAN);
  compare(&l, grid, (grid && !decides(&desc)) || !product);
  support_layer_free(&l);
}

static void check_all(const struct pbt_layer_desc desc[], size_t count,
                      const int32_t batch[], size_t batches) {
  struct pbt_backend *backend = support_open();
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < batches; j++) {
      check(backend, desc[i], batch[j], true);
      check(backend, desc[i], batch[j], false);
    }
  }
  backend->ops->close(backend);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}

static const int32_t ragged[] = {1, 15, 16, 17, 64};
#define COUNT(list) (sizeof(list) / sizeof *(list))

START_TEST(lenet5_layers_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){1, 28, 28, 2}, 6, 5, 1, 2, 2, true, 0),
      support_conv((struct pbt_shape){6, 14, 14, 0}, 16, 5, 1, 0, 2, true, 0),
      support_dense((struct pbt_shape){16, 5, 5, 0}, 120, true),
      support_dense((struct pbt_shape){120, 1, 1, 0}, 84, true),
      support_dense((struct pbt_shape){84, 1, 1, 0}, 10, false),
  };
  check_all(desc, COUNT(desc), ragged, COUNT(ragged));
}
END_TEST

START_TEST(resnet20_shapes_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){3, 32, 32, 1}, 16, 3, 1, 1, 0, true, 1),
      support_conv((struct pbt_shape){16, 16, 16, 1}, 32, 3, 2, 1, 0, true, 1),
      support_conv((struct pbt_shape){32, 8, 8, 1}, 32, 3, 1, 1, 0, true, 1),
      support_conv((struct pbt_shape){16, 8, 8, 1}, 64, 3, 1, 1, 0, false, 0),
      support_conv((struct pbt_shape){16, 8, 8, 0}, 32, 1, 1, 0, 0, false, 1),
  };
  const int32_t batch[] = {3, 16, 17};
  check_all(desc, COUNT(desc), batch, COUNT(batch));
}
END_TEST

START_TEST(odd_tiled_shapes_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){3, 9, 11, 1}, 5, 3, 1, 1, 2, true, 0),
      support_conv((struct pbt_shape){5, 7, 6, 2}, 7, 5, 1, 2, 0, false, 1),
      support_conv((struct pbt_shape){7, 12, 9, 0}, 3, 5, 1, 0, 2, false, 0),
      support_conv((struct pbt_shape){1, 8, 13, 0}, 7, 5, 1, 0, 0, true, 2),
      support_conv((struct pbt_shape){3, 6, 5, 2}, 1, 3, 1, 1, 0, true, 0),
      support_conv((struct pbt_shape){5, 5, 3, 0}, 9, 3, 1, 0, 0, true, 0),
      support_conv((struct pbt_shape){2, 5, 5, 2}, 2, 5, 1, 1, 2, true, 1),
      support_conv((struct pbt_shape){7, 3, 2, 1}, 6, 1, 1, 0, 0, true, 0),
      support_conv((struct pbt_shape){4, 6, 6, 0}, 13, 1, 1, 0, 2, true, 0),
      support_conv((struct pbt_shape){1, 5, 5, 0}, 1, 5, 1, 0, 0, false, 0),
      support_conv((struct pbt_shape){4, 10, 14, 0}, 12, 5, 1, 0, 2, true, 0),
  };
  check_all(desc, COUNT(desc), ragged, COUNT(ragged));
}
END_TEST

START_TEST(strided_shapes_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){16, 12, 12, 1}, 32, 3, 2, 1, 0, false, 1),
      support_conv((struct pbt_shape){5, 9, 11, 1}, 7, 3, 2, 1, 0, true, 0),
      support_conv((struct pbt_shape){3, 10, 7, 0}, 4, 3, 2, 0, 0, false, 0),
      support_conv((struct pbt_shape){6, 8, 9, 2}, 3, 3, 2, 2, 0, false, 2),
      support_conv((struct pbt_shape){5, 11, 12, 2}, 6, 5, 2, 2, 0, true, 0),
      support_conv((struct pbt_shape){2, 7, 6, 1}, 9, 5, 2, 1, 0, false, 1),
      support_conv((struct pbt_shape){9, 7, 10, 0}, 5, 1, 2, 0, 0, true, 0),
      support_conv((struct pbt_shape){4, 8, 8, 0}, 8, 1, 2, 0, 0, false, 1),
      support_conv((struct pbt_shape){3, 3, 3, 0}, 2, 3, 2, 0, 0, true, 0),
  };
  check_all(desc, COUNT(desc), ragged, COUNT(ragged));
}
END_TEST

START_TEST(plain_shapes_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){3, 9, 9, 3}, 4, 7, 1, 3, 0, true, 0),
      support_conv((struct pbt_shape){2, 11, 10, 1}, 5, 3, 2, 1, 2, true, 0),
      support_conv((struct pbt_shape){3, 11, 9, 1}, 5, 3, 1, 1, 3, false, 1),
      support_conv((struct pbt_shape){5, 8, 8, 0}, 3, 2, 2, 0, 0, false, 0),
      support_conv((struct pbt_shape){3, 5, 5, 2}, 3, 1, 1, 2, 0, true, 0),
      support_conv((struct pbt_shape){2, 9, 8, 1}, 3, 3, 3, 1, 0, true, 0),
  };
  const int32_t batch[] = {1, 17, 33};
  check_all(desc, COUNT(desc), batch, COUNT(batch));
}
END_TEST

START_TEST(dense_shapes_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_dense((struct pbt_shape){1, 28, 28, 0}, 33, true),
      support_dense((struct pbt_shape){3, 5, 7, 0}, 11, false),
      support_dense((struct pbt_shape){1, 1, 1, 0}, 1, true),
      support_dense((struct pbt_shape){130, 1, 1, 0}, 23, true),
  };
  const int32_t batch[] = {1, 15, 16, 17, 48, 100};
  check_all(desc, COUNT(desc), batch, COUNT(batch));
}
END_TEST

START_TEST(normalisations_match_the_reference) {
  const struct pbt_shape none = {0};
  const struct pbt_layer_desc desc[] = {
      support_norm((struct pbt_shape){3, 7, 6, 0}, none, true, 1),
      support_norm((struct pbt_shape){5, 4, 9, 1}, none, false, 0),
      support_norm((struct pbt_shape){4, 8, 8, 0}, (struct pbt_shape){4, 8, 8, 1}, true,
                   1),
      support_norm((struct pbt_shape){2, 5, 3, 1}, (struct pbt_shape){2, 5, 3, 0}, false,
                   2),
      support_norm((struct pbt_shape){8, 4, 4, 0}, (struct pbt_shape){4, 8, 8, 1}, true,
                   1),
      support_norm((struct pbt_shape){7, 3, 2, 0}, (struct pbt_shape){2, 9, 6, 1}, false,
                   0),
  };
  check_all(desc, COUNT(desc), ragged, COUNT(ragged));
  /* Of one value a channel no gradient is left: from 15 on. */
  const struct pbt_layer_desc vector =
      support_norm((struct pbt_shape){70, 1, 1, 0}, none, true, 0);
  check_all(&vector, 1, ragged + 1, COUNT(ragged) - 1);
}
END_TEST

START_TEST(additions_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_add((struct pbt_shape){3, 7, 6, 1}, (struct pbt_shape){3, 7, 6, 0}, true,
                  1),
      support_add((struct pbt_shape){6, 4, 3, 0}, (struct pbt_shape){3, 8, 6, 1}, false,
                  0),
  };
  check_all(desc, COUNT(desc), ragged, COUNT(ragged));
}
END_TEST

START_TEST(pools_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_pool((struct pbt_shape){3, 8, 6, 1}, 2, 2, false, 0),
      support_pool((struct pbt_shape){2, 9, 7, 0}, 3, 2, false, 1),
      support_pool((struct pbt_shape){5, 8, 8, 1}, 8, 8, true, 0),
      support_pool((struct pbt_shape){1, 20, 17, 0}, 17, 1, false, 0),
      support_pool((struct pbt_shape){3, 7, 5, 0}, 2, 1, true, 0),
      support_pool((struct pbt_shape){3, 5, 5, 0}, 1, 2, true, 0),
  };
  check_all(desc, COUNT(desc), ragged, COUNT(ragged));
}
END_TEST

START_TEST(dropout_draws_the_words_it_should) {
  const struct pbt_layer_desc desc[] = {
      support_dropout((struct pbt_shape){120, 1, 1, 0}, 0, 0),
      support_dropout((struct pbt_shape){3, 5, 7, 1}, 2, 0),
      support_dropout((struct pbt_shape){1, 1, 1, 0}, 255, 1),
  };
  check_all(desc, COUNT(desc), ragged, COUNT(ragged));
}
END_TEST

START_TEST(scoring_uses_the_running_statistics_and_drops_nothing) {
  struct pbt_backend *backend = support_open();
  struct pbt_shape shape = {3, 4, 5, 1};
  struct pbt_layer_desc desc[] = {support_norm(shape, shape, true, 0),
                                  support_dropout(shape, 1, 0)};
  for (int i = 0; i < 2; i++) {
    struct bench_layer l = support_layer_new(desc[i], 21, 5, false);
    l.training = false;
    support_layer_reference(&l);
    support_layer_run(backend, &l, 32, NAN);
    compare(&l, false, false);
    for (int64_t k = 0; i == 1 && k < l.out; k++) {
      ck_assert(l.y[k] == l.x[k]);
    }
    support_layer_free(&l);
  }
  backend->ops->close(backend);
}
END_TEST

/* What a mean far from zero costs: nothing of the variance may cancel. */
START_TEST(a_far_mean_keeps_the_statistics_exact) {
  struct pbt_backend *backend = support_open();
  struct bench_layer l = support_layer_new(
      support_norm((struct pbt_shape){2, 16, 16, 0}, (struct pbt_shape){0}, false, 0), 20,
      5, true);
  for (int64_t i = 0; i < l.in; i++) {
    l.x[i] += 300;
  }
  support_layer_reference(&l);
  support_layer_run(backend, &l, 32, NAN);
  ck_assert_double_le(support_error(l.mean, l.ref_mean, 2), 1e-6);
  ck_assert_double_le(support_error(l.variance, l.ref_variance, 2), 1e-6);
  ck_assert_double_le(support_error(l.y, l.ref_y, l.out), 2e-4); // x itself has 3e-5
  support_layer_free(&l);
  backend->ops->close(backend);
}
END_TEST

/* Half of a large activation, and other words in another layer, member or step. */
START_TEST(dropout_masks_differ_where_they_should) {
  struct pbt_backend *backend = support_open();
  struct bench_layer l[5];
  for (int i = 0; i < 5; i++) {
    l[i] = support_layer_new(
        support_dropout((struct pbt_shape){64, 5, 5, 0}, i == 1 ? 9 : 2, 0), 64, 5,
        false);
    l[i].step.hyper.dropout = 0.5F;
    l[i].step.member += i == 2;
    l[i].step.step += i == 3;
    support_layer_run(backend, &l[i], 64, 0);
    int64_t dropped = 0, same = 0;
    for (int64_t k = 0; k < l[i].out; k++) {
      dropped += l[i].y[k] == 0;
      same += (l[i].y[k] == 0) == (l[0].y[k] == 0);
    }
    double share = (double)dropped / (double)l[i].out;
    ck_assert_double_eq_tol(share, 0.5, 0.01);
    double alike = (double)same / (double)l[i].out;
    ck_assert_double_eq_tol(alike, i == 0 || i == 4 ? 1 : 0.5, 0.01);
  }
  for (int i = 0; i < 5; i++) {
    support_layer_free(&l[i]);
  }
  backend->ops->close(backend);
}
END_TEST

START_TEST(a_layer_says_its_path) {
  struct pbt_backend *backend = support_open();
  const struct pbt_backend_ops *ops = backend->ops;
  struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){1, 28, 28, 2}, 6, 5, 1, 2, 2, true, 0),
      support_conv((struct pbt_shape){16, 32, 32, 1}, 32, 3, 2, 1, 0, false, 1),
      support_conv((struct pbt_shape){3, 9, 9, 3}, 4, 7, 1, 3, 0, true, 0),
      support_conv((struct pbt_shape){3, 9, 9, 1}, 4, 3, 3, 1, 0, true, 0),
      support_pool((struct pbt_shape){3, 9, 9, 1}, 3, 3, true, 0),
  };
  const char *words[] = {"tiled", "tiled", "plain", "plain", "plain"}; // on the CPU
  for (size_t i = 0; i < COUNT(desc); i++) {
    struct pbt_layer *layer = NULL;
    ck_ok(ops->layer_open(backend, &desc[i], 64, &layer));
    const char *said = ops->layer_describe(layer);
    ck_assert_str_ne(said, "");
    ck_assert_msg(!ops->host_memory || strstr(said, words[i]) != NULL, "%s", said);
    ops->layer_close(backend, layer);
  }
  desc[0].out.h++;
  struct pbt_layer *layer = NULL;
  ck_fails(ops->layer_open(backend, &desc[0], 64, &layer), PBT_ERR_INTERNAL,
           "do not fit");
  ck_assert_ptr_null(layer);
  ops->close(backend);
}
END_TEST

/* A diverged network must show: no pool or ReLU may turn NaN into a number. */
START_TEST(nan_passes_through_relu_and_pool) {
  struct pbt_backend *backend = support_open();
  struct bench_layer l = support_layer_new(
      support_conv((struct pbt_shape){1, 12, 12, 2}, 6, 5, 1, 2, 2, true, 0), 5, 1,
      false);
  l.weight[30] = NAN; // filter 1
  support_layer_run(backend, &l, 16, 0);
  for (int32_t i = 0; i < 36; i++) {
    ck_assert(!isnan(l.y[i]));
    ck_assert(isnan(l.y[36 + i]));
  }
  support_layer_free(&l);
  backend->ops->close(backend);
}
END_TEST

/* To eight binary digits, ties to even, in double arithmetic. */
static double to_bf16(float value) {
  int exponent;
  double part = frexp(value, &exponent);
  double rounded = ldexp(nearbyint(ldexp(part, 8)), exponent - 8);
  return fabs(rounded) < ldexp(1, 128) ? rounded : copysign(INFINITY, rounded);
}

/* A weight of 1 shows what becomes of each value. */
START_TEST(bfloat16_is_the_nearest) {
  if (support_precision() != PBT_BF16) {
    return;
  }
  struct pbt_backend *backend = support_open();
  struct bench_layer l = support_layer_new(
      support_conv((struct pbt_shape){1, 16, 16, 0}, 1, 1, 1, 0, 0, false, 0), 64, 9,
      false);
  const uint32_t special[] = {0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff,
                              0x7f7fffff, 0xff7f7fff, 0x7f800000, 0x80000000, 0x3fff8000};
  uint64_t state = 7;
  for (int64_t i = 0; i < l.in; i++) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    uint32_t bits = (uint32_t)(state >> 32); // any exponent but those of denormals
    bits = (bits & 0x7f800000) == 0 ? bits | 0x10000000 : bits;
    bits = (bits & 0x7f800000) == 0x7f800000 ? bits & 0xbfffffff : bits;
    bits = i % 7 == 0 ? (bits & 0xffff0000) | 0x8000 : bits; // a tie
    bits = i < (int64_t)COUNT(special) ? special[i] : bits;
    memcpy(&l.x[i], &bits, sizeof bits);
  }
  l.x[100] = NAN;
  l.weight[0] = 1;
  l.no_bias = true;
  support_layer_run(backend, &l, 64, 0);
  for (int64_t i = 0; i < l.in; i++) {
    bool right = i == 100 ? isnan(l.y[i]) : l.y[i] == to_bf16(l.x[i]);
    ck_assert_msg(right, "%a became %a", (double)l.x[i], (double)l.y[i]);
  }
  support_layer_free(&l);
  backend->ops->close(backend);
}
END_TEST

int main(void) {
  int skip = support_skip();
  if (skip != 0) {
    return skip;
  }
  const TTest *const list[] = {lenet5_layers_match_the_reference,
                               resnet20_shapes_match_the_reference,
                               odd_tiled_shapes_match_the_reference,
                               strided_shapes_match_the_reference,
                               plain_shapes_match_the_reference,
                               dense_shapes_match_the_reference,
                               normalisations_match_the_reference,
                               additions_match_the_reference,
                               pools_match_the_reference,
                               dropout_draws_the_words_it_should,
                               scoring_uses_the_running_statistics_and_drops_nothing,
                               a_far_mean_keeps_the_statistics_exact,
                               dropout_masks_differ_where_they_should,
                               a_layer_says_its_path,
                               nan_passes_through_relu_and_pool,
                               bfloat16_is_the_nearest};
  return pbt_run_suite("layers", list, COUNT(list), CK_FORK);
}
