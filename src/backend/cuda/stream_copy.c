/* staging.h over a stream and pinned memory. */
#include "backend/cuda/cuda.h"

enum { CHUNK_BYTES = 4 << 20 };

static pbt_status copy(void *context, void *to, const void *from, size_t n, int chunk) {
  struct cuda_backend *cuda = context;
  PBT_TRY(PBT_CUDA(cudaMemcpyAsync(to, from, n, cudaMemcpyDefault, cuda->stream)));
  return PBT_CUDA(cudaEventRecord(cuda->copied[chunk], cuda->stream));
}

static pbt_status wait(void *context, int chunk) {
  struct cuda_backend *cuda = context;
  cuda->waits++;
  return PBT_CUDA(cudaEventSynchronize(cuda->copied[chunk]));
}

pbt_status pbt_cuda_staging_open(struct cuda_backend *cuda) {
  static const struct cuda_staging_ops ops = {.copy = copy, .wait = wait};
  cuda->staging =
      (struct cuda_staging){.ops = &ops, .context = cuda, .chunk_bytes = CHUNK_BYTES};
  for (int i = 0; i < CUDA_CHUNKS; i++) {
    PBT_TRY(PBT_CUDA(cudaMallocHost(&cuda->staging.chunk[i], CHUNK_BYTES)));
    PBT_TRY(PBT_CUDA(cudaEventCreateWithFlags(
        &cuda->copied[i], cudaEventDisableTiming | cudaEventBlockingSync)));
  }
  return PBT_OK;
}

void pbt_cuda_staging_close(struct cuda_backend *cuda) {
  for (int i = 0; i < CUDA_CHUNKS; i++) {
    if (cuda->copied[i] != NULL) {
      cudaEventSynchronize(cuda->copied[i]);
      cudaEventDestroy(cuda->copied[i]);
    }
    cudaFreeHost(cuda->staging.chunk[i]);
  }
}

pbt_status pbt_cuda_write(struct pbt_backend *backend, void *to, const void *from,
                          size_t n) {
  return cuda_staging_write(&cuda_of(backend)->staging, to, from, n);
}

pbt_status pbt_cuda_read(struct pbt_backend *backend, void *to, const void *from,
                         size_t n) {
  return cuda_staging_read(&cuda_of(backend)->staging, to, from, n);
}
