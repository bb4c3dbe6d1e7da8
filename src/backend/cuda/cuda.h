/*
 * cuda.h - the CUDA backend's own structs, shared by the files of its module.
 *
 * One backend is one member: a stream, a workspace, two pinned chunks for copies, and the
 * recorded steps.  Backends of one process share the device and the data sets on it, and
 * nothing else.  Work is queued on the stream; the host waits only in read() and
 * finish(), and in repeat() when too much is queued.
 */
#ifndef PBT_BACKEND_CUDA_CUDA_H
#define PBT_BACKEND_CUDA_CUDA_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include "backend/backend.h"
#include "backend/cuda/binding.h"
#include "backend/cuda/graph.h"
#include "backend/cuda/staging.h"
#include "kernels.h"

/* A block of device memory, counted by the host memory of this record. */
struct cuda_block {
  struct cuda_block *next;
  void *memory;
};

struct cuda_backend {
  struct pbt_backend base; // first
  int device;
  enum pbt_precision precision;
  bool any_engine;   // engines that do not repeat their bits are welcome
  bool time_engines; // try the engines that heuristics name and keep the fastest
  cudaStream_t stream;
  struct cuda_block *blocks;
  struct cuda_staging staging;
  cudaEvent_t copied[CUDA_CHUNKS]; // the last copy of each chunk
  cudaEvent_t reached;             // a place in this stream that another one waits for
  struct cuda_graphs graphs;
  void *workspace; // of library calls, one after the other on the stream
  size_t workspace_bytes;
  float *update_state;
  struct kernel_sums sums;
  cublasLtHandle_t lt;   // NULL until the first dense layer that wants it
  cudnnHandle_t cudnn;   // NULL until the first convolution that wants it
  int64_t waits;         // times the host waited for the device
  char description[160]; // equal on all ranks
  struct pbt_place place;
};

static inline struct cuda_backend *cuda_of(struct pbt_backend *backend) {
  return (struct cuda_backend *)backend;
}

/* A library's failure as a status, with the call and the library's words. */
pbt_status pbt_cuda_check(cudaError_t error, const char *call, const char *file,
                          int line);
pbt_status pbt_cublas_check(cublasStatus_t error, const char *call, const char *file,
                            int line);
#define PBT_CUDA(call) pbt_cuda_check((call), #call, __FILE__, __LINE__)
#define PBT_CUBLAS(call) pbt_cublas_check((call), #call, __FILE__, __LINE__)

/* backend.c: zeroed device memory. */
pbt_status pbt_cuda_allocate(struct pbt_backend *backend, size_t bytes, void **memory);
void pbt_cuda_release(struct pbt_backend *backend, void *memory);
pbt_status pbt_cuda_finish(struct pbt_backend *backend);
/* Makes the shared workspace this large.  Recorded steps are dropped if it moves. */
pbt_status pbt_cuda_reserve(struct cuda_backend *cuda, size_t bytes);

/* device.c: what the device is called. */
pbt_status pbt_cuda_describe(struct cuda_backend *cuda);

/* stream_copy.c */
pbt_status pbt_cuda_staging_open(struct cuda_backend *cuda);
void pbt_cuda_staging_close(struct cuda_backend *cuda);
pbt_status pbt_cuda_write(struct pbt_backend *backend, void *to, const void *from,
                          size_t n);
pbt_status pbt_cuda_read(struct pbt_backend *backend, void *to, const void *from,
                         size_t n);
pbt_status pbt_cuda_copy(struct pbt_backend *backend, void *to,
                         struct pbt_backend *source, const void *from, size_t n);

/* activation.c */
struct kernel_shape pbt_cuda_canonical(struct pbt_shape shape); // n, c, h, w
struct kernel_shape pbt_cuda_shape(const struct cuda_backend *cuda,
                                   struct pbt_shape shape);
size_t pbt_cuda_activation_bytes(const struct pbt_backend *backend,
                                 struct pbt_shape shape, int32_t max_batch);
pbt_status pbt_cuda_activation_write(struct pbt_backend *backend, struct pbt_shape shape,
                                     int32_t n, float *to, const float *from);
pbt_status pbt_cuda_activation_read(struct pbt_backend *backend, struct pbt_shape shape,
                                    int32_t n, float *to, const float *from);

/* data.c */
pbt_status pbt_cuda_data_open(struct pbt_backend *backend,
                              const struct pbt_images *images,
                              struct pbt_dataset **dataset);
void pbt_cuda_data_close(struct pbt_backend *backend, struct pbt_dataset *dataset);
pbt_status pbt_cuda_gather(struct pbt_backend *backend, const struct pbt_batch *batch,
                           struct pbt_shape shape, float *x, int32_t *label);

/* layer.c */
pbt_status pbt_cuda_layer_open(struct pbt_backend *backend,
                               const struct pbt_layer_desc *desc, int32_t max_batch,
                               struct pbt_layer **layer);
void pbt_cuda_layer_close(struct pbt_backend *backend, struct pbt_layer *layer);
pbt_status pbt_cuda_forward(struct pbt_backend *backend, struct pbt_layer *layer,
                            const struct pbt_layer_io *io);
pbt_status pbt_cuda_backward(struct pbt_backend *backend, struct pbt_layer *layer,
                             const struct pbt_layer_io *io);
const char *pbt_cuda_layer_describe(const struct pbt_layer *layer);

/* update.c */
pbt_status pbt_cuda_loss(struct pbt_backend *backend, const struct pbt_loss_io *io);
pbt_status pbt_cuda_update(struct pbt_backend *backend, const struct pbt_update_io *io);

/* record.c: steps recorded once and replayed. */
pbt_status pbt_cuda_repeat(struct pbt_backend *backend, uint64_t key, int64_t n,
                           struct pbt_step *step, pbt_status (*body)(void *context),
                           void *context);
void pbt_cuda_forget(struct cuda_backend *cuda); // drops all recorded steps

#endif
