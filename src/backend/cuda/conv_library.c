#include "backend/cuda/layers.h"

pbt_status pbt_cuda_library_open(struct cuda_backend *cuda,
                                 const struct kernel_conv *conv,
                                 const struct kernel_shape *z, int32_t max_batch,
                                 struct cuda_library_conv **library) {
  (void)cuda;
  (void)conv;
  (void)z;
  (void)max_batch;
  *library = NULL;
  return PBT_OK;
}
void pbt_cuda_library_close(struct cuda_backend *cuda,
                            struct cuda_library_conv *library) {
  (void)cuda;
  (void)library;
}
pbt_status pbt_cuda_library_forward(struct cuda_backend *cuda,
                                    struct cuda_library_conv *library, int32_t n,
                                    const float *x, const float *weight, float *z) {
  (void)cuda;
  (void)library;
  (void)n;
  (void)x;
  (void)weight;
  (void)z;
  return PBT_OK;
}
pbt_status pbt_cuda_library_dweight(struct cuda_backend *cuda,
                                    struct cuda_library_conv *library, int32_t n,
                                    const float *x, const float *g, float *dweight) {
  (void)cuda;
  (void)library;
  (void)n;
  (void)x;
  (void)g;
  (void)dweight;
  return PBT_OK;
}
pbt_status pbt_cuda_library_dx(struct cuda_backend *cuda,
                               struct cuda_library_conv *library, int32_t n,
                               const float *weight, const float *g, float *dx,
                               bool add_dx) {
  (void)cuda;
  (void)library;
  (void)n;
  (void)weight;
  (void)g;
  (void)dx;
  (void)add_dx;
  return PBT_OK;
}
const char *pbt_cuda_library_describe(const struct cuda_library_conv *library) {
  (void)library;
  return "";
}
