/* Every layer, forward and backward, against the double-precision loops. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/memory.h"
#include "support.h"
#include "tests/test.h"

static const double tolerance = 1e-5;

static void check(struct pbt_backend *backend, struct pbt_layer_desc desc, int32_t n,
                  bool grid) {
  struct bench_layer l = support_layer_new(desc, n, (unsigned)(n * 31 + desc.in.w), grid);
  support_layer_reference(&l);
  support_layer_run(backend, &l, n < 32 ? 32 : n, NAN);
  double error[] = {support_error(l.y, l.ref_y, l.out),
                    support_error(l.dx, l.ref_dx, l.in),
                    support_error(l.dweight, l.ref_dweight, l.weights),
                    support_error(l.dbias, l.ref_dbias, desc.out.c)};
  const char *what[] = {"y", "dx", "dweight", "dbias"};
  for (int i = 0; i < (grid ? 4 : 1); i++) {
    ck_assert_msg(error[i] <= tolerance,
                  "%s of %dx%dx%d -> %dx%dx%d k %d pool %d pad %d stride %d relu %d, "
                  "batch %d: error %.3g",
                  what[i], desc.in.c, desc.in.h, desc.in.w, desc.out.c, desc.out.h,
                  desc.out.w, desc.kernel, desc.pool, desc.pad, desc.stride, desc.relu, n,
                  error[i]);
  }
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

START_TEST(plain_shapes_match_the_reference) {
  const struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){3, 9, 9, 3}, 4, 7, 1, 3, 0, true, 0),
      support_conv((struct pbt_shape){2, 11, 10, 1}, 5, 3, 2, 1, 2, true, 0),
      support_conv((struct pbt_shape){3, 11, 9, 1}, 5, 3, 1, 1, 3, false, 1),
      support_conv((struct pbt_shape){5, 8, 8, 0}, 3, 2, 2, 0, 0, false, 0),
      support_conv((struct pbt_shape){3, 5, 5, 2}, 3, 1, 1, 2, 0, true, 0),
      support_conv((struct pbt_shape){2, 6, 6, 0}, 3, 1, 2, 0, 0, true, 0),
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

START_TEST(a_layer_says_its_path) {
  struct pbt_backend *backend = support_open();
  const struct pbt_backend_ops *ops = backend->ops;
  struct pbt_layer_desc desc[] = {
      support_conv((struct pbt_shape){1, 28, 28, 2}, 6, 5, 1, 2, 2, true, 0),
      support_conv((struct pbt_shape){3, 9, 9, 3}, 4, 7, 1, 3, 0, true, 0),
  };
  const char *words[] = {"tiled", "plain"};
  for (int i = 0; i < 2; i++) {
    struct pbt_layer *layer = NULL;
    ck_ok(ops->layer_open(backend, &desc[i], 64, &layer));
    ck_assert_msg(strstr(ops->layer_describe(layer), words[i]) != NULL, "%s",
                  ops->layer_describe(layer));
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

int main(void) {
  int skip = support_skip();
  if (skip != 0) {
    return skip;
  }
  const TTest *const list[] = {
      lenet5_layers_match_the_reference,    resnet20_shapes_match_the_reference,
      odd_tiled_shapes_match_the_reference, plain_shapes_match_the_reference,
      dense_shapes_match_the_reference,     a_layer_says_its_path,
      nan_passes_through_relu_and_pool};
  return pbt_run_suite("layers", list, COUNT(list), CK_FORK);
}
