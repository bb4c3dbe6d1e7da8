/* Copies: staging.h over a stream and pinned memory, and those within the device. */
#include "backend/cuda/cuda.h"

enum { CHUNK_BYTES = 4 << 20 };

static pbt_status copy(void *context, void *to, const void *from, size_t n, int chunk) {
  struct cuda_backend *cuda = context;
  PBT_TRY(PBT_CUDA(cudaMemcpyAsync(to, from, n, cudaMemcpyDefault, cuda->stream)));
  return PBT_CUDA(cudaEventRecord(cuda->copied[chunk], cuda->stream));
}

static pbt_status wait(void *context, int chunk) {
  struct cuda_backend *cuda = context;
  cudaError_t now = cudaEventQuery(cuda->copied[chunk]);
  if (now != cudaErrorNotReady) {
    return PBT_CUDA(now);
  }
  cudaGetLastError(); // not an error
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
  return PBT_CUDA(cudaEventCreateWithFlags(&cuda->reached, cudaEventDisableTiming));
}

void pbt_cuda_staging_close(struct cuda_backend *cuda) {
  for (int i = 0; i < CUDA_CHUNKS; i++) {
    if (cuda->copied[i] != NULL) {
      cudaEventSynchronize(cuda->copied[i]);
      cudaEventDestroy(cuda->copied[i]);
    }
    cudaFreeHost(cuda->staging.chunk[i]);
  }
  if (cuda->reached != NULL) {
    cudaEventDestroy(cuda->reached);
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

/* What `after` is given from now on waits for what `before` has been given so far. */
static pbt_status order(struct cuda_backend *before, const struct cuda_backend *after) {
  PBT_TRY(PBT_CUDA(cudaEventRecord(before->reached, before->stream)));
  return PBT_CUDA(cudaStreamWaitEvent(after->stream, before->reached, 0));
}

pbt_status pbt_cuda_copy(struct pbt_backend *backend, void *to,
                         struct pbt_backend *source, const void *from, size_t n) {
  struct cuda_backend *cuda = cuda_of(backend), *other = cuda_of(source);
  if (other != cuda) {
    PBT_TRY(order(other, cuda));
  }
  PBT_TRY(PBT_CUDA(cudaMemcpyAsync(to, from, n, cudaMemcpyDefault, cuda->stream)));
  return other != cuda ? order(cuda, other) : PBT_OK;
}
