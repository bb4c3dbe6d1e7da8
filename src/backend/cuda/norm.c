/* NORM and ADD: shapes of the skip, and what a batch's statistics need. */
#include "backend/cuda/layers.h"

static pbt_status check(const struct pbt_layer_desc *desc) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out, *skip = &desc->skip;
  bool fits = in->c == out->c && in->h == out->h && in->w == out->w && in->c >= 1 &&
              in->c <= KERNEL_MAX_COUNTERS;
  if (fits && skip->c > 0) {
    int32_t s = out->h > 0 ? skip->h / out->h : 0;
    fits = s >= 1 && skip->h == s * out->h && skip->w == s * out->w && skip->c <= out->c;
  }
  return fits ? PBT_OK : PBT_BUG("a norm or sum whose shapes do not fit");
}

pbt_status pbt_cuda_norm_open(struct cuda_backend *cuda,
                              const struct pbt_layer_desc *desc, int32_t max_batch,
                              struct cuda_norm *norm) {
  PBT_TRY(check(desc));
  norm->shape = (struct kernel_norm){
      .shape = pbt_cuda_shape(cuda, desc->in), .skip_stride = 1, .relu = desc->relu};
  if (desc->skip.c > 0) {
    norm->shape.skip = pbt_cuda_shape(cuda, desc->skip);
    norm->shape.skip_stride = desc->skip.h / desc->out.h;
  }
  if (desc->kind == PBT_LAYER_ADD) {
    return PBT_OK;
  }
  struct pbt_backend *base = &cuda->base;
  size_t c = (size_t)desc->in.c;
  norm->blocks = kernel_norm_blocks(&norm->shape, max_batch);
  PBT_TRY(pbt_cuda_allocate(base, 2 * c * sizeof(float), (void **)&norm->saved));
  PBT_TRY(pbt_cuda_allocate(base, 2 * c * sizeof(float), (void **)&norm->means));
  PBT_TRY(pbt_cuda_allocate(base, 2 * c * (size_t)norm->blocks * sizeof(double),
                            (void **)&norm->sums.partial));
  norm->sums.counter = cuda->sums.counter;
  return PBT_OK;
}

void pbt_cuda_norm_close(struct cuda_backend *cuda, struct cuda_norm *norm) {
  pbt_cuda_release(&cuda->base, norm->saved);
  pbt_cuda_release(&cuda->base, norm->means);
  pbt_cuda_release(&cuda->base, norm->sums.partial);
}
