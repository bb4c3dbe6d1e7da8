/*
 * Activations: (n, c, h, w), or (n, h, w, c) where the tensor cores want channels last.
 * Halos are not stored: padding is the convolution's own business here.
 */
#include "backend/cuda/cuda.h"

struct kernel_shape pbt_cuda_canonical(struct pbt_shape shape) {
  int64_t plane = (int64_t)shape.h * shape.w;
  return (struct kernel_shape){.c = shape.c,
                               .h = shape.h,
                               .w = shape.w,
                               .sample = plane * shape.c,
                               .channel = plane,
                               .row = shape.w,
                               .column = 1};
}

struct kernel_shape pbt_cuda_shape(const struct cuda_backend *cuda,
                                   struct pbt_shape shape) {
  struct kernel_shape result = pbt_cuda_canonical(shape);
  if (cuda->precision != PBT_FLOAT32 && shape.c >= 16 && shape.c % 8 == 0 &&
      shape.h * shape.w > 1) {
    result.channels_last = 1;
    result.channel = 1;
    result.column = shape.c;
    result.row = (int64_t)shape.c * shape.w;
  }
  return result;
}

size_t pbt_cuda_activation_bytes(const struct pbt_backend *backend,
                                 struct pbt_shape shape, int32_t max_batch) {
  (void)backend;
  return (size_t)pbt_cuda_canonical(shape).sample * (size_t)max_batch * sizeof(float);
}

/* Through a device copy in canonical order, where that is another order. */
static pbt_status convert(struct pbt_backend *backend, struct pbt_shape shape, int32_t n,
                          float *device, float *to_host, const float *from_host) {
  struct cuda_backend *cuda = cuda_of(backend);
  size_t bytes = pbt_cuda_activation_bytes(backend, shape, n);
  struct kernel_shape here = pbt_cuda_shape(cuda, shape);
  struct kernel_shape plain = pbt_cuda_canonical(shape);
  void *copy = NULL;
  PBT_TRY(pbt_cuda_allocate(backend, bytes, &copy));
  pbt_status status = PBT_OK;
  if (from_host != NULL) {
    PBT_TRY_TO(done, status, pbt_cuda_write(backend, copy, from_host, bytes));
    PBT_TRY_TO(
        done, status,
        PBT_CUDA(kernel_layout(n, &plain, copy, &here, device, false, cuda->stream)));
  } else {
    PBT_TRY_TO(
        done, status,
        PBT_CUDA(kernel_layout(n, &here, device, &plain, copy, false, cuda->stream)));
    PBT_TRY_TO(done, status, pbt_cuda_read(backend, to_host, copy, bytes));
  }
done:
  pbt_cuda_release(backend, copy);
  return status;
}

pbt_status pbt_cuda_activation_write(struct pbt_backend *backend, struct pbt_shape shape,
                                     int32_t n, float *to, const float *from) {
  return convert(backend, shape, n, to, NULL, from);
}

pbt_status pbt_cuda_activation_read(struct pbt_backend *backend, struct pbt_shape shape,
                                    int32_t n, float *to, const float *from) {
  return convert(backend, shape, n, (float *)(uintptr_t)from, to, NULL);
}
