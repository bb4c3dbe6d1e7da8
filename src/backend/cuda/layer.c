/* Layers by kind: a plan and memory at open, a few launches at each call. */
#include "backend/cuda/layers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h" // counted memory

const char *pbt_cuda_choice(const char *variable) {
  const char *value = getenv(variable);
  return value != NULL && *value != '\0' ? value : NULL;
}

static pbt_status open_pool(struct cuda_backend *cuda, const struct pbt_layer_desc *desc,
                            int32_t max_batch, struct cuda_pool *pool) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  if (desc->kernel < 1 || desc->stride < 1 || desc->kernel > 255 || in->c != out->c ||
      out->h < 1 || out->w < 1 || out->h != (in->h - desc->kernel) / desc->stride + 1 ||
      out->w != (in->w - desc->kernel) / desc->stride + 1) {
    return PBT_BUG("a pool whose shapes do not fit");
  }
  pool->shape = (struct kernel_pool){.x = pbt_cuda_shape(cuda, *in),
                                     .y = pbt_cuda_shape(cuda, *out),
                                     .kernel = desc->kernel,
                                     .stride = desc->stride,
                                     .mean = desc->mean};
  size_t places = desc->mean ? 0 : (size_t)pool->shape.y.sample * (size_t)max_batch;
  return pbt_cuda_allocate(&cuda->base, places * sizeof *pool->place,
                           (void **)&pool->place);
}

static pbt_status open_kind(struct cuda_backend *cuda, const struct pbt_layer_desc *desc,
                            int32_t max_batch, struct pbt_layer *layer) {
  switch (desc->kind) {
  case PBT_LAYER_CONV:
    return pbt_cuda_conv_open(cuda, desc, max_batch, &layer->conv);
  case PBT_LAYER_DENSE:
    return pbt_cuda_dense_open(cuda, desc, max_batch, &layer->dense);
  case PBT_LAYER_NORM:
  case PBT_LAYER_ADD:
    return pbt_cuda_norm_open(cuda, desc, max_batch, &layer->norm);
  case PBT_LAYER_POOL:
    return open_pool(cuda, desc, max_batch, &layer->pool);
  case PBT_LAYER_DROPOUT:
    layer->dropout = (struct cuda_dropout){.shape = pbt_cuda_shape(cuda, desc->in),
                                           .stream = desc->stream};
    return PBT_OK;
  default:
    return PBT_BUG("a layer that the CUDA backend does not have");
  }
}

static void describe(const struct pbt_layer_desc *desc, struct pbt_layer *layer) {
  static const char *const path[] = {"direct", "library", "plain"};
  char *to = layer->description;
  size_t n = sizeof layer->description;
  const char *relu = desc->relu ? ", fused relu" : "";
  switch (layer->kind) {
  case PBT_LAYER_CONV:
    snprintf(to, n, "conv %d@%dx%d cuda %s%s%s%s", desc->out.c, desc->kernel,
             desc->kernel, path[layer->conv.path],
             layer->conv.library != NULL ? pbt_cuda_library_describe(layer->conv.library)
                                         : "",
             relu, desc->pool > 1 ? ", fused pool" : "");
    return;
  case PBT_LAYER_DENSE:
    snprintf(to, n, "dense %d cuda %s%s", desc->out.c, path[layer->dense.path], relu);
    return;
  case PBT_LAYER_NORM:
    snprintf(to, n, "norm cuda%s%s", desc->skip.c > 0 ? ", fused skip" : "", relu);
    return;
  case PBT_LAYER_ADD:
    snprintf(to, n, "add cuda%s", relu);
    return;
  case PBT_LAYER_POOL:
    snprintf(to, n, "%s pool %dx%d cuda", desc->mean ? "mean" : "max", desc->kernel,
             desc->kernel);
    return;
  default:
    snprintf(to, n, "dropout cuda");
  }
}

static int64_t floats_of(struct pbt_shape shape) {
  return (int64_t)shape.c * shape.h * shape.w;
}

pbt_status pbt_cuda_layer_open(struct pbt_backend *backend,
                               const struct pbt_layer_desc *desc, int32_t max_batch,
                               struct pbt_layer **layer) {
  *layer = NULL;
  if (max_batch < 1) {
    return PBT_BUG("a layer for a batch of no samples");
  }
  int64_t pool = desc->pool > 1 ? (int64_t)(desc->pool + 1) * (desc->pool + 1) : 1;
  int64_t most = floats_of(desc->in) > pool * floats_of(desc->out)
                     ? floats_of(desc->in)
                     : pool * floats_of(desc->out);
  if (most > INT32_MAX / max_batch) {
    return pbt_fail(PBT_ERR_DATA,
                    "a batch of %d samples of %lld values: the cuda backend takes fewer "
                    "than 2^31 values in a layer",
                    max_batch, (long long)most);
  }
  struct pbt_layer *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  made->kind = desc->kind;
  made->max_batch = max_batch;
  pbt_status status = open_kind(cuda_of(backend), desc, max_batch, made);
  if (status != PBT_OK) {
    pbt_cuda_layer_close(backend, made);
    return status;
  }
  describe(desc, made);
  *layer = made;
  return PBT_OK;
}

void pbt_cuda_layer_close(struct pbt_backend *backend, struct pbt_layer *layer) {
  if (layer == NULL) {
    return;
  }
  struct cuda_backend *cuda = cuda_of(backend);
  pbt_cuda_forget(cuda);
  if (layer->kind == PBT_LAYER_CONV) {
    pbt_cuda_conv_close(cuda, &layer->conv);
  } else if (layer->kind == PBT_LAYER_DENSE) {
    pbt_cuda_dense_close(cuda, &layer->dense);
  } else if (layer->kind == PBT_LAYER_NORM || layer->kind == PBT_LAYER_ADD) {
    pbt_cuda_norm_close(cuda, &layer->norm);
  } else if (layer->kind == PBT_LAYER_POOL) {
    pbt_cuda_release(backend, layer->pool.place);
  }
  pbt_mem_free(layer);
}

static pbt_status check_batch(const struct pbt_layer *layer,
                              const struct pbt_layer_io *io) {
  if (io->n < 1 || io->n > layer->max_batch) {
    return PBT_BUG("a batch larger than its layer was opened for");
  }
  return PBT_OK;
}

pbt_status pbt_cuda_forward(struct pbt_backend *backend, struct pbt_layer *layer,
                            const struct pbt_layer_io *io) {
  struct cuda_backend *cuda = cuda_of(backend);
  PBT_TRY(check_batch(layer, io));
  switch (layer->kind) {
  case PBT_LAYER_CONV:
    return pbt_cuda_conv_forward(cuda, &layer->conv, io);
  case PBT_LAYER_DENSE:
    return pbt_cuda_dense_forward(cuda, &layer->dense, io);
  case PBT_LAYER_NORM:
    return PBT_CUDA(kernel_norm_forward(&layer->norm.shape, io, layer->norm.saved,
                                        layer->norm.blocks, &layer->norm.sums,
                                        cuda->stream));
  case PBT_LAYER_ADD:
    return PBT_CUDA(kernel_add_forward(&layer->norm.shape, io, cuda->stream));
  case PBT_LAYER_POOL:
    return PBT_CUDA(kernel_pool_forward(&layer->pool.shape, io->n, io->x, io->y,
                                        layer->pool.place, cuda->stream));
  default:
    return PBT_CUDA(kernel_dropout(&layer->dropout.shape, io->n, layer->dropout.stream,
                                   io->training, io->step, io->x, io->y, false,
                                   cuda->stream));
  }
}

pbt_status pbt_cuda_backward(struct pbt_backend *backend, struct pbt_layer *layer,
                             const struct pbt_layer_io *io) {
  struct cuda_backend *cuda = cuda_of(backend);
  PBT_TRY(check_batch(layer, io));
  switch (layer->kind) {
  case PBT_LAYER_CONV:
    return pbt_cuda_conv_backward(cuda, &layer->conv, io);
  case PBT_LAYER_DENSE:
    return pbt_cuda_dense_backward(cuda, &layer->dense, io);
  case PBT_LAYER_NORM:
    return PBT_CUDA(kernel_norm_backward(&layer->norm.shape, io, layer->norm.saved,
                                         layer->norm.means, layer->norm.blocks,
                                         &layer->norm.sums, cuda->stream));
  case PBT_LAYER_ADD:
    return PBT_CUDA(kernel_add_backward(&layer->norm.shape, io, cuda->stream));
  case PBT_LAYER_POOL:
    return io->dx == NULL
               ? PBT_OK
               : PBT_CUDA(kernel_pool_backward(&layer->pool.shape, io->n, io->dy,
                                               layer->pool.place, io->dx, io->add_dx,
                                               cuda->stream));
  default:
    return io->dx == NULL
               ? PBT_OK
               : PBT_CUDA(kernel_dropout(&layer->dropout.shape, io->n,
                                         layer->dropout.stream, io->training, io->step,
                                         io->dy, io->dx, io->add_dx, cuda->stream));
  }
}

const char *pbt_cuda_layer_describe(const struct pbt_layer *layer) {
  return layer->description;
}
