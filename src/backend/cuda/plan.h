/*
 * plan.h - one convolution as an execution plan of cuDNN's graph API.
 *
 * Needs a description of a device, not the device: plans are made, and tested, from a
 * description that was saved as JSON.
 */
#ifndef PBT_BACKEND_CUDA_PLAN_H
#define PBT_BACKEND_CUDA_PLAN_H

#include <cudnn_graph.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

pbt_status pbt_cudnn_check(cudnnStatus_t error, const char *call, const char *file,
                           int line);
#define PBT_CUDNN(call) pbt_cudnn_check((call), #call, __FILE__, __LINE__)

enum cuda_convolution { CUDA_CONV_FORWARD, CUDA_CONV_DWEIGHT, CUDA_CONV_DX, CUDA_CONVS };

/* A tensor of four dimensions, strides in values. */
struct cuda_tensor {
  cudnnDataType_t type;
  int64_t dim[4], stride[4];
};

struct cuda_plan_request {
  enum cuda_convolution kind;
  struct cuda_tensor x, w, z; // or their gradients
  int64_t stride, pad;
  bool tensor_cores; // engines that round their operands are welcome
  bool any_engine;   // engines that do not repeat their bits are welcome
};

struct cuda_plan {
  cudnnBackendDescriptor_t plan, config;
  int64_t workspace, engine;
};

/* A description of a device from JSON, or of a CUDA device by number where json is NULL.
 */
pbt_status cuda_describe_device(const char *json, int32_t device,
                                cudnnBackendDescriptor_t *description);

/* Up to `most` plans, the heuristics' best first; *n may become 0: no engine fits. */
pbt_status cuda_plan_make(cudnnBackendDescriptor_t device,
                          const struct cuda_plan_request *request, int most,
                          struct cuda_plan plan[], int *n);
void cuda_plan_close(struct cuda_plan *plan);

/* Queues the plan on the handle's stream. */
pbt_status cuda_plan_run(cudnnHandle_t handle, const struct cuda_plan *plan, void *x,
                         void *w, void *z, void *workspace);

#endif
