/*
 * Plans of cuDNN for the convolutions of ResNet-20 and LeNet-5, made from the description
 * of a device that is not here (h200.json): cuDNN's own heuristics and engines answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/plan.h"
#include "tests/test.h"

static cudnnBackendDescriptor_t device;

static struct cuda_tensor tensor(cudnnDataType_t type, bool channels_last, int64_t n,
                                 int64_t c, int64_t h) {
  struct cuda_tensor t = {type, {n, c, h, h}, {c * h * h, h * h, h, 1}};
  if (channels_last) {
    t.stride[1] = 1;
    t.stride[2] = h * c;
    t.stride[3] = c;
  }
  return t;
}

struct shape {
  int64_t n, in, side, out, kernel, stride, pad;
};

static const struct shape shapes[] = {
    {128, 3, 32, 16, 3, 1, 1},  {128, 16, 32, 16, 3, 1, 1}, {128, 16, 32, 32, 3, 2, 1},
    {128, 32, 16, 32, 3, 1, 1}, {128, 32, 16, 64, 3, 2, 1}, {128, 64, 8, 64, 3, 1, 1},
    {64, 1, 28, 6, 5, 1, 2},    {64, 6, 14, 16, 5, 1, 0},   {17, 16, 8, 32, 1, 2, 0}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static struct cuda_plan_request request(const struct shape *s, int kind,
                                        cudnnDataType_t type, bool tensor_cores) {
  int64_t side = (s->side + 2 * s->pad - s->kernel) / s->stride + 1;
  return (struct cuda_plan_request){
      .kind = (enum cuda_convolution)kind,
      .x = tensor(type, tensor_cores, s->n, s->in, s->side),
      .w = tensor(type, tensor_cores, s->out, s->in, s->kernel),
      .z = tensor(type, tensor_cores, s->n, s->out, side),
      .stride = s->stride,
      .pad = s->pad,
      .tensor_cores = tensor_cores};
}

static int count(const struct cuda_plan_request *r, int most) {
  struct cuda_plan plan[8];
  int n = -1;
  ck_ok(cuda_plan_make(device, r, most, plan, &n));
  for (int i = 0; i < n; i++) {
    ck_assert_ptr_nonnull(plan[i].plan);
    ck_assert_int_ge(plan[i].workspace, 0);
    cuda_plan_close(&plan[i]);
    ck_assert_ptr_null(plan[i].plan);
  }
  return n;
}

static void every_shape_has_a_plan(cudnnDataType_t type, bool tensor_cores) {
  for (int s = 0; s < SHAPES; s++) {
    for (int kind = 0; kind < CUDA_CONVS; kind++) {
      struct cuda_plan_request r = request(&shapes[s], kind, type, tensor_cores);
      ck_assert_msg(count(&r, 1) == 1, "shape %d, product %d: no engine", s, kind);
    }
  }
}

START_TEST(float32_has_plans_for_every_shape) {
  every_shape_has_a_plan(CUDNN_DATA_FLOAT, false);
}
END_TEST

START_TEST(tf32_has_plans_for_every_shape) {
  every_shape_has_a_plan(CUDNN_DATA_FLOAT, true);
}
END_TEST

START_TEST(bf16_has_plans_for_every_shape) {
  every_shape_has_a_plan(CUDNN_DATA_BFLOAT16, true);
}
END_TEST

/* The gradient of weights is where engines add in any order: fewer may be taken. */
START_TEST(engines_that_repeat_their_bits_are_fewer) {
  int repeat = 0, any = 0;
  for (int s = 0; s < SHAPES; s++) {
    struct cuda_plan_request r =
        request(&shapes[s], CUDA_CONV_DWEIGHT, CUDNN_DATA_FLOAT, false);
    repeat += count(&r, 8);
    r.any_engine = true;
    any += count(&r, 8);
  }
  ck_assert_int_gt(repeat, 0);
  ck_assert_int_gt(any, repeat);
}
END_TEST

START_TEST(a_product_that_no_engine_takes_is_no_error) {
  struct cuda_plan_request r =
      request(&shapes[1], CUDA_CONV_FORWARD, CUDNN_DATA_BFLOAT16, true);
  r.z.type = CUDNN_DATA_INT8;
  ck_assert_int_eq(count(&r, 8), 0);
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_an_error) {
  struct cuda_plan_request r =
      request(&shapes[1], CUDA_CONV_FORWARD, CUDNN_DATA_FLOAT, false);
  r.w.dim[1] = 5;
  struct cuda_plan plan[1];
  int n = -1;
  ck_fails(cuda_plan_make(device, &r, 1, plan, &n), PBT_ERR_UNAVAILABLE, "cudnn");
}
END_TEST

int main(int argc, char **argv) {
  static char json[8192];
  FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
  size_t bytes = file != NULL ? fread(json, 1, sizeof json - 1, file) : 0;
  if (bytes == 0) {
    printf("usage: cuda_plan_test DEVICE.json\n");
    return EXIT_FAILURE;
  }
  fclose(file);
  if (cuda_describe_device(json, 0, &device) != PBT_OK) {
    printf("SKIP: this cuDNN reads no description of a device (%s)\n", pbt_error());
    return 77;
  }
  const TTest *const list[] = {float32_has_plans_for_every_shape,
                               tf32_has_plans_for_every_shape,
                               bf16_has_plans_for_every_shape,
                               engines_that_repeat_their_bits_are_fewer,
                               a_product_that_no_engine_takes_is_no_error,
                               shapes_that_do_not_fit_are_an_error};
  int failed = pbt_run_suite("cuda plans", list, sizeof list / sizeof *list, CK_FORK);
  cudnnBackendDestroyDescriptor(device);
  return failed;
}
