/*
 * Convolutions: which path.  Few channels and a plain geometry: own kernels with all
 * fused.  Otherwise cuDNN, with bias, ReLU and pool in own kernels around it.  Where no
 * engine takes a shape, plain loops.  PBT_CUDA_CONV = own or library overrules.
 */
#include "backend/cuda/layers.h"

#include <string.h>

static pbt_status check(const struct pbt_layer_desc *desc,
                        const struct kernel_conv *conv) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  bool fits = conv->k >= 1 && conv->stride >= 1 && conv->pad >= 0 && conv->pool >= 1 &&
              conv->pool <= KERNEL_MAX_POOL && in->c >= 1 && out->c >= 1 &&
              conv->ch >= 1 && conv->cw >= 1 && out->c <= KERNEL_MAX_COUNTERS;
  if (!fits || out->h != conv->ch / conv->pool || out->w != conv->cw / conv->pool ||
      out->h < 1 || out->w < 1) {
    return PBT_BUG("a convolution whose shapes do not fit");
  }
  return PBT_OK;
}

static pbt_status choose_path(struct cuda_backend *cuda, int32_t max_batch,
                              struct cuda_conv *conv) {
  const char *choice = pbt_cuda_choice("PBT_CUDA_CONV");
  bool own = choice != NULL && strcmp(choice, "own") == 0;
  bool library = choice != NULL && strcmp(choice, "library") == 0;
  size_t bytes = library ? 0 : kernel_conv_direct_bytes(&conv->shape);
  conv->path = CUDA_PLAIN;
  if (bytes > 0) {
    conv->path = CUDA_DIRECT;
    return pbt_cuda_allocate(&cuda->base, bytes, (void **)&conv->partial);
  }
  if (!own) {
    PBT_TRY(
        pbt_cuda_library_open(cuda, &conv->shape, &conv->z, max_batch, &conv->library));
    conv->path = conv->library != NULL ? CUDA_LIBRARY : CUDA_PLAIN;
  }
  if (conv->shape.pool > 1) {
    return pbt_cuda_allocate(&cuda->base,
                             (size_t)conv->z.sample * (size_t)max_batch * sizeof(float),
                             (void **)&conv->z_memory);
  }
  return PBT_OK;
}

pbt_status pbt_cuda_conv_open(struct cuda_backend *cuda,
                              const struct pbt_layer_desc *desc, int32_t max_batch,
                              struct cuda_conv *conv) {
  int32_t stride = desc->stride > 0 ? desc->stride : 1;
  conv->shape =
      (struct kernel_conv){.x = pbt_cuda_shape(cuda, desc->in),
                           .y = pbt_cuda_shape(cuda, desc->out),
                           .ch = (desc->in.h + 2 * desc->pad - desc->kernel) / stride + 1,
                           .cw = (desc->in.w + 2 * desc->pad - desc->kernel) / stride + 1,
                           .k = desc->kernel,
                           .stride = stride,
                           .pad = desc->pad,
                           .pool = desc->pool > 1 ? desc->pool : 1,
                           .relu = desc->relu};
  PBT_TRY(check(desc, &conv->shape));
  conv->z = pbt_cuda_shape(
      cuda, (struct pbt_shape){desc->out.c, conv->shape.ch, conv->shape.cw, 0});
  if (conv->shape.pool > 1) {
    PBT_TRY(pbt_cuda_allocate(&cuda->base,
                              (size_t)conv->shape.y.sample * (size_t)max_batch,
                              (void **)&conv->place));
  }
  return choose_path(cuda, max_batch, conv);
}

void pbt_cuda_conv_close(struct cuda_backend *cuda, struct cuda_conv *conv) {
  pbt_cuda_library_close(cuda, conv->library);
  pbt_cuda_release(&cuda->base, conv->partial);
  pbt_cuda_release(&cuda->base, conv->z_memory);
  pbt_cuda_release(&cuda->base, conv->place);
}

pbt_status pbt_cuda_conv_forward(struct cuda_backend *cuda, const struct cuda_conv *conv,
                                 const struct pbt_layer_io *io) {
  const struct kernel_conv *shape = &conv->shape;
  if (conv->path == CUDA_DIRECT) {
    return PBT_CUDA(kernel_conv_direct_forward(shape, io->n, io->x, io->weight, io->bias,
                                               io->y, conv->place, cuda->stream));
  }
  float *z = conv->z_memory != NULL ? conv->z_memory : io->y;
  if (conv->path == CUDA_LIBRARY) {
    PBT_TRY(pbt_cuda_library_forward(cuda, conv->library, io->n, io->x, io->weight, z));
  } else {
    PBT_TRY(PBT_CUDA(kernel_conv_plain_forward(shape, io->n, io->x, io->weight, &conv->z,
                                               z, cuda->stream)));
  }
  if (shape->pool == 1 && !shape->relu && io->bias == NULL) {
    return PBT_OK;
  }
  return PBT_CUDA(kernel_epilogue_forward(shape, io->n, &conv->z, z, io->bias, io->y,
                                          conv->place, cuda->stream));
}

pbt_status pbt_cuda_conv_backward(struct cuda_backend *cuda, const struct cuda_conv *conv,
                                  const struct pbt_layer_io *io) {
  const struct kernel_conv *shape = &conv->shape;
  if (conv->path == CUDA_DIRECT) {
    return PBT_CUDA(kernel_conv_direct_backward(
        shape, io->n, io->x, io->weight, io->y, io->dy, conv->place, io->dx, io->add_dx,
        io->dweight, io->dbias, conv->partial, cuda->sums.counter, cuda->stream));
  }
  float *g = conv->z_memory != NULL ? conv->z_memory : io->dy;
  if (shape->pool > 1 || shape->relu) {
    PBT_TRY(PBT_CUDA(kernel_epilogue_backward(shape, io->n, io->y, io->dy, conv->place,
                                              &conv->z, g, cuda->stream)));
  }
  if (io->dbias != NULL) {
    PBT_TRY(PBT_CUDA(kernel_bias_gradient(&conv->z, io->n, g, io->dbias, cuda->stream)));
  }
  if (conv->path == CUDA_LIBRARY) {
    PBT_TRY(pbt_cuda_library_dweight(cuda, conv->library, io->n, io->x, g, io->dweight));
    return io->dx == NULL ? PBT_OK
                          : pbt_cuda_library_dx(cuda, conv->library, io->n, io->weight, g,
                                                io->dx, io->add_dx);
  }
  PBT_TRY(PBT_CUDA(kernel_conv_plain_dweight(shape, io->n, io->x, &conv->z, g,
                                             io->dweight, cuda->stream)));
  return io->dx == NULL
             ? PBT_OK
             : PBT_CUDA(kernel_conv_plain_dx(shape, io->n, io->weight, &conv->z, g,
                                             io->dx, io->add_dx, cuda->stream));
}
