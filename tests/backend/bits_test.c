/*
 * Where bits must be equal: AVX-512 and AVX2, any number of threads, and padding lanes
 * that hold anything.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/digest.h"
#include "base/memory.h"
#include "support.h"
#include "tests/test.h"

static const int32_t batches[] = {1, 16, 17, 64, 100};
enum { BATCHES = 5 };

static const struct pbt_layer_desc *layers(size_t *n) {
  static struct pbt_layer_desc list[24];
  struct pbt_layer_desc all[] = {
      support_conv((struct pbt_shape){1, 28, 28, 2}, 6, 5, 1, 2, 2, true, 0),
      support_conv((struct pbt_shape){6, 14, 14, 0}, 16, 5, 1, 0, 2, true, 0),
      support_dense((struct pbt_shape){16, 5, 5, 0}, 120, true),
      support_dense((struct pbt_shape){84, 1, 1, 0}, 10, false),
      support_conv((struct pbt_shape){16, 16, 16, 1}, 16, 3, 1, 1, 0, true, 1),
      support_conv((struct pbt_shape){5, 7, 9, 2}, 7, 5, 1, 2, 0, true, 0),
      support_conv((struct pbt_shape){7, 11, 9, 1}, 3, 3, 1, 1, 2, false, 0),
      support_conv((struct pbt_shape){3, 9, 9, 3}, 4, 7, 1, 3, 0, true, 0),
      support_conv((struct pbt_shape){4, 9, 8, 1}, 5, 3, 2, 1, 2, true, 0),
      support_conv((struct pbt_shape){16, 16, 16, 1}, 32, 3, 2, 1, 0, false, 1),
      support_conv((struct pbt_shape){5, 11, 12, 2}, 6, 5, 2, 2, 0, true, 0),
      support_conv((struct pbt_shape){9, 7, 10, 0}, 5, 1, 2, 0, 0, true, 0),
      support_norm((struct pbt_shape){5, 7, 9, 0}, (struct pbt_shape){0}, true, 1),
      support_norm((struct pbt_shape){8, 4, 5, 0}, (struct pbt_shape){4, 8, 10, 1}, true,
                   1),
      support_norm((struct pbt_shape){3, 6, 6, 1}, (struct pbt_shape){3, 6, 6, 1}, false,
                   0),
      support_add((struct pbt_shape){3, 6, 6, 1}, (struct pbt_shape){3, 6, 6, 1}, true,
                  0),
      support_pool((struct pbt_shape){3, 9, 7, 1}, 3, 2, false, 1),
      support_pool((struct pbt_shape){64, 8, 8, 1}, 8, 8, true, 0),
      support_dropout((struct pbt_shape){7, 3, 3, 1}, 3, 0),
  };
  *n = sizeof all / sizeof *all;
  memcpy(list, all, sizeof all);
  return list;
}

/* All results of one layer as a digest. */
static uint64_t digest(struct pbt_backend *b, struct pbt_layer_desc desc, int32_t n,
                       float padding) {
  struct bench_layer l = support_layer_new(desc, n, 3, false);
  l.no_bias = desc.kind == PBT_LAYER_CONV && desc.stride == 2;
  l.add = n % 2 == 0;
  support_layer_run(b, &l, n, padding);
  uint64_t sum = pbt_digest(l.y, (size_t)l.out * 4);
  const struct {
    const float *value;
    int64_t n;
  } more[] = {{l.dx, l.in},        {l.dskip, l.skipped}, {l.dweight, l.weights},
              {l.dbias, l.biases}, {l.mean, l.biases},   {l.variance, l.biases}};
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
    sum = pbt_digest_more(sum, more[i].value, (size_t)more[i].n * 4);
  }
  support_layer_free(&l);
  return sum;
}

static void same_layers(struct pbt_backend *a, struct pbt_backend *b, float padding) {
  size_t n = 0;
  const struct pbt_layer_desc *list = layers(&n);
  for (size_t i = 0; i < n; i++) {
    for (int j = 0; j < BATCHES; j++) {
      ck_assert_msg(digest(a, list[i], batches[j], 0) ==
                        digest(b, list[i], batches[j], padding),
                    "layer %zu, batch %d", i, batches[j]);
    }
  }
}

START_TEST(avx512_and_avx2_agree_in_every_layer) {
  struct pbt_backend *a = support_open_isa("avx512", 1), *b = support_open_isa("avx2", 1);
  same_layers(a, b, 0);
  a->ops->close(a);
  b->ops->close(b);
}
END_TEST

/* Loss, update and gather: their outputs in one digest. */
static uint64_t digest_rest(struct pbt_backend *b) {
  enum { N = 55, CLASSES = 10, PARAMETERS = 1003 };
  const struct pbt_backend_ops *ops = b->ops;
  struct pbt_shape shape = {CLASSES, 1, 1, 0};
  size_t bytes = ops->activation_bytes(b, shape, N);
  void *memory[8] = {NULL};
  size_t sizes[8] = {bytes,
                     bytes,
                     N * sizeof(int32_t),
                     sizeof(struct pbt_tally),
                     PARAMETERS * sizeof(float),
                     PARAMETERS * sizeof(float),
                     PARAMETERS * sizeof(float),
                     0};
  for (int i = 0; i < 7; i++) {
    ck_ok(ops->allocate(b, sizes[i], &memory[i]));
  }
  float z[N * CLASSES];
  support_fill(z, N * CLASSES, 4, false);
  for (int i = 0; i < N * CLASSES; i++) {
    z[i] *= 20;
  }
  ck_ok(ops->activation_write(b, shape, N, memory[0], z));
  for (int i = 4; i < 7; i++) {
    support_fill(memory[i], PARAMETERS, (unsigned)i, false);
  }
  struct pbt_step step = {.hyper = {.lr = 0.03F,
                                    .momentum = 0.9F,
                                    .weight_decay = 1e-3F,
                                    .label_smoothing = 0.07F}};
  ck_ok(ops->loss(b, &(struct pbt_loss_io){.n = N,
                                           .n_class = CLASSES,
                                           .logit = memory[0],
                                           .label = memory[2],
                                           .dlogit = memory[1],
                                           .step = &step,
                                           .tally = memory[3],
                                           .by_class = true}));
  ck_ok(ops->update(b, &(struct pbt_update_io){.n = PARAMETERS,
                                               .weight = memory[4],
                                               .gradient = memory[5],
                                               .moment = {memory[6]},
                                               .step = &step}));
  uint64_t sum = 0;
  for (int i = 0; i < 7; i++) {
    sum = pbt_digest_more(sum, memory[i], sizes[i]);
    ops->release(b, memory[i]);
  }
  return sum;
}

START_TEST(avx512_and_avx2_agree_in_loss_and_update) {
  struct pbt_backend *a = support_open_isa("avx512", 1), *b = support_open_isa("avx2", 1);
  ck_assert_uint_eq(digest_rest(a), digest_rest(b));
  a->ops->close(a);
  b->ops->close(b);
}
END_TEST

#if defined PBT_CPU_X86
/* Against libm in double: at most 2 units in the last place. */
static void check_exp(void (*kernel)(int32_t n, float *x)) {
  enum { N = 1 << 16 };
  static _Alignas(64) float x[N], y[N];
  for (int i = 0; i < N; i++) {
    x[i] = y[i] = -88.0F * (float)i / N;
  }
  kernel(N, y);
  for (int i = 0; i < N; i++) {
    double right = x[i] <= -87 ? 0 : exp((double)x[i]);
    ck_assert_msg(fabs(y[i] - right) <= 2 * 6e-8 * right + 0,
                  "exp(%.9g) = %.9g, not %.9g", x[i], y[i], right);
  }
  ck_assert(y[0] == 1);
}

START_TEST(exp_is_within_2_ulp) {
  check_exp(pbt_cpu_kernels_avx512.exp);
  check_exp(pbt_cpu_kernels_avx2.exp);
  check_exp(pbt_cpu_kernels_generic.exp);
}
END_TEST
#endif

START_TEST(threads_change_no_bit) {
  struct pbt_backend *one = support_open_isa(NULL, 1);
  for (int threads = 2; threads <= 5; threads++) {
    struct pbt_backend *many = support_open_isa(NULL, threads);
    same_layers(one, many, 0);
    ck_assert_uint_eq(digest_rest(one), digest_rest(many));
    many->ops->close(many);
  }
  one->ops->close(one);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(padding_lanes_reach_nothing) {
  const char *const isa[] = {"avx512", "avx2", "generic"};
  for (int i = 0; i < 3; i++) {
    struct pbt_backend *b = support_open_isa(isa[i], 1);
    if (b != NULL) {
      same_layers(b, b, NAN);
      same_layers(b, b, INFINITY);
      b->ops->close(b);
    }
  }
}
END_TEST

static bool both_here(void) {
  struct pbt_backend *a = support_open_isa("avx512", 1), *b = support_open_isa("avx2", 1);
  bool both = a != NULL && b != NULL;
  pbt_backend_find("cpu")->close(a);
  pbt_backend_find("cpu")->close(b);
  return both;
}

int main(void) {
  const TTest *const list[] = {
    threads_change_no_bit,
    padding_lanes_reach_nothing,
#if defined PBT_CPU_X86
    exp_is_within_2_ulp,
#endif
    avx512_and_avx2_agree_in_every_layer,
    avx512_and_avx2_agree_in_loss_and_update
  };
  size_t n = sizeof list / sizeof *list;
  bool both = both_here();
  int failed = pbt_run_suite("bits", list, both ? n : 2, CK_FORK);
  if (failed == 0 && !both) {
    printf("skipped: AVX-512 against AVX2, this processor lacks one of them\n");
    return 77;
  }
  return failed;
}
