/* The table of the CUDA backend, its memory, and what opens and closes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/cuda.h"
#include "backend/cuda/module.h"
#include "base/memory.h" // counted memory

static const struct pbt_backend_ops table;

pbt_status pbt_cuda_check(cudaError_t error, const char *call, const char *file,
                          int line) {
  if (error == cudaSuccess) {
    return PBT_OK;
  }
  return pbt_fail(PBT_ERR_UNAVAILABLE, "%.120s: %s (%s) [%s:%d]", call,
                  cudaGetErrorString(error), cudaGetErrorName(error), file, line);
}

pbt_status pbt_cublas_check(cublasStatus_t error, const char *call, const char *file,
                            int line) {
  if (error == CUBLAS_STATUS_SUCCESS) {
    return PBT_OK;
  }
  return pbt_fail(PBT_ERR_UNAVAILABLE, "%.120s: %s [%s:%d]", call,
                  cublasLtGetStatusString(error), file, line);
}

/* ---- memory ---- */

pbt_status pbt_cuda_allocate(struct pbt_backend *backend, size_t bytes, void **memory) {
  struct cuda_backend *cuda = cuda_of(backend);
  *memory = NULL;
  struct cuda_block *block = NULL;
  PBT_TRY(PBT_NEW(1, &block));
  size_t size = bytes > 0 ? bytes : 1;
  cudaError_t error = cudaMalloc(&block->memory, size);
  pbt_status status = PBT_OK;
  if (error != cudaSuccess) {
    cudaGetLastError();
    status = pbt_fail(PBT_ERR_UNAVAILABLE, "%zu bytes of device memory: %s", size,
                      cudaGetErrorString(error));
  } else {
    status = PBT_CUDA(cudaMemsetAsync(block->memory, 0, size, cuda->stream));
  }
  if (status != PBT_OK) {
    cudaFree(block->memory);
    pbt_mem_free(block);
    return status;
  }
  block->next = cuda->blocks;
  cuda->blocks = block;
  *memory = block->memory;
  return PBT_OK;
}

void pbt_cuda_release(struct pbt_backend *backend, void *memory) {
  struct cuda_backend *cuda = cuda_of(backend);
  if (memory == NULL) {
    return;
  }
  pbt_cuda_forget(cuda); // recorded steps may use it
  for (struct cuda_block **link = &cuda->blocks; *link != NULL; link = &(*link)->next) {
    if ((*link)->memory == memory) {
      struct cuda_block *block = *link;
      *link = block->next;
      cudaFree(memory); // waits until the device is done with it
      pbt_mem_free(block);
      return;
    }
  }
}

pbt_status pbt_cuda_finish(struct pbt_backend *backend) {
  struct cuda_backend *cuda = cuda_of(backend);
  cuda->waits++;
  PBT_TRY(PBT_CUDA(cudaStreamSynchronize(cuda->stream)));
  return PBT_CUDA(cudaGetLastError());
}

pbt_status pbt_cuda_reserve(struct cuda_backend *cuda, size_t bytes) {
  if (bytes <= cuda->workspace_bytes) {
    return PBT_OK;
  }
  void *larger = NULL;
  PBT_TRY(pbt_cuda_allocate(&cuda->base, bytes, &larger));
  pbt_cuda_release(&cuda->base, cuda->workspace); // forgets recorded steps
  cuda->workspace = larger;
  cuda->workspace_bytes = bytes;
  return PBT_OK;
}

/* ---- open and close ---- */

static void close_cuda(struct pbt_backend *backend) {
  if (backend == NULL) {
    return;
  }
  struct cuda_backend *cuda = cuda_of(backend);
  pbt_cuda_forget(cuda);
  if (cuda->lt != NULL) {
    cublasLtDestroy(cuda->lt);
  }
  if (cuda->cudnn != NULL) {
    cudnnDestroy(cuda->cudnn);
  }
  pbt_cuda_release(backend, cuda->sums.counter);
  pbt_cuda_release(backend, cuda->sums.partial);
  pbt_cuda_release(backend, cuda->update_state);
  pbt_cuda_release(backend, cuda->workspace);
  pbt_cuda_staging_close(cuda);
  if (cuda->stream != NULL) {
    cudaStreamDestroy(cuda->stream);
  }
  pbt_mem_free(cuda);
}

static pbt_status find_device(int32_t node_rank, int *device) {
  int visible = 0;
  cudaError_t error = cudaGetDeviceCount(&visible);
  if (error != cudaSuccess) {
    cudaGetLastError(); // not sticky
    return pbt_fail(PBT_ERR_UNAVAILABLE,
                    "backend cuda needs a GPU and its driver: %s; use backend = \"cpu\"",
                    cudaGetErrorString(error));
  }
  return pbt_cuda_bind(node_rank, visible, device);
}

/* Streams share the device's hardware queues, and work that meets there waits although it
 * need not: as many queues as there may be, for the members of one rank.  Heard by CUDA's
 * first call in the process. */
static void ask_for_queues(void) {
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
}

static bool switched_on(const char *name) {
  const char *value = getenv(name);
  return value != NULL && strcmp(value, "1") == 0;
}

static pbt_status open_device(struct cuda_backend *cuda) {
  PBT_TRY(PBT_CUDA(cudaSetDevice(cuda->device)));
  PBT_TRY(PBT_CUDA(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking)));
  PBT_TRY(pbt_cuda_describe(cuda));
  PBT_TRY(pbt_cuda_staging_open(cuda));
  struct pbt_backend *base = &cuda->base;
  PBT_TRY(pbt_cuda_allocate(base, sizeof(float), (void **)&cuda->update_state));
  PBT_TRY(pbt_cuda_allocate(base, KERNEL_MAX_PARTIALS * sizeof(double),
                            (void **)&cuda->sums.partial));
  return pbt_cuda_allocate(base, KERNEL_MAX_COUNTERS * sizeof(uint32_t),
                           (void **)&cuda->sums.counter);
}

static pbt_status open_cuda(const struct pbt_backend_options *options,
                            struct pbt_backend **backend) {
  *backend = NULL;
  int device = 0;
  ask_for_queues();
  PBT_TRY(find_device(options->node_rank, &device));
  struct cuda_backend *cuda = NULL;
  PBT_TRY(PBT_NEW(1, &cuda));
  *cuda = (struct cuda_backend){.base = {&table},
                                .device = device,
                                .precision = options->precision,
                                .any_engine = switched_on("PBT_CUDA_ANY_ENGINE"),
                                .time_engines = switched_on("PBT_CUDA_TIME_ENGINES")};
  pbt_status status = open_device(cuda);
  if (status != PBT_OK) {
    close_cuda(&cuda->base);
    return status;
  }
  *backend = &cuda->base;
  return PBT_OK;
}

static const char *describe_cuda(const struct pbt_backend *backend) {
  return ((const struct cuda_backend *)backend)->description;
}

static void place_cuda(const struct pbt_backend *backend, struct pbt_place *place) {
  *place = ((const struct cuda_backend *)backend)->place;
}

static const struct pbt_backend_ops table = {
    .name = "cuda",
    .deterministic = true,
    .host_memory = false,
    .open = open_cuda,
    .close = close_cuda,
    .describe = describe_cuda,
    .place = place_cuda,
    .allocate = pbt_cuda_allocate,
    .release = pbt_cuda_release,
    .write = pbt_cuda_write,
    .read = pbt_cuda_read,
    .copy = pbt_cuda_copy,
    .finish = pbt_cuda_finish,
    .activation_bytes = pbt_cuda_activation_bytes,
    .activation_write = pbt_cuda_activation_write,
    .activation_read = pbt_cuda_activation_read,
    .data_open = pbt_cuda_data_open,
    .data_close = pbt_cuda_data_close,
    .gather = pbt_cuda_gather,
    .layer_open = pbt_cuda_layer_open,
    .layer_close = pbt_cuda_layer_close,
    .forward = pbt_cuda_forward,
    .backward = pbt_cuda_backward,
    .layer_describe = pbt_cuda_layer_describe,
    .loss = pbt_cuda_loss,
    .update = pbt_cuda_update,
    .repeat = pbt_cuda_repeat,
};

int64_t pbt_cuda_waits(const struct pbt_backend *backend) {
  return ((const struct cuda_backend *)backend)->waits;
}

const struct pbt_backend_ops *pbt_cuda_module(int version) {
  return version == PBT_CUDA_MODULE_VERSION ? &table : NULL;
}
