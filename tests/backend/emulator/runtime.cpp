/*
 * The part of CUDA's runtime that the backend calls, over host memory: one device,
 * streams that run at once, and graphs as lists of what was captured.  Memory is filled
 * with rubbish when it is allocated.  EMULATOR_DEVICES sets the number of devices.
 */
#include "emulator.h"

#include <cstdlib>
#include <vector>

void emulator_run(dim3 grid, int block, size_t shared,
                  const std::function<void()> &thread);

namespace {
using work = std::function<void()>;
std::vector<work> *capturing;

cudaError_t queue(work w) {
  if (capturing != nullptr) {
    capturing->push_back(w);
  } else {
    w();
  }
  return cudaSuccess;
}

/* What may not be called while a stream is captured. */
cudaError_t outside() {
  return capturing == nullptr ? cudaSuccess : cudaErrorStreamCaptureUnsupported;
}
} // namespace

cudaError_t emulator_launch(dim3 grid, int block, size_t shared, cudaStream_t,
                            std::function<void()> thread) {
  if (shared > 48 * 1024) {
    return cudaErrorInvalidValue;
  }
  return queue([=] { emulator_run(grid, block, shared, thread); });
}

extern "C" {

cudaError_t cudaGetDeviceCount(int *count) {
  const char *devices = getenv("EMULATOR_DEVICES");
  *count = devices != nullptr ? atoi(devices) : 1;
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int) {
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  memset(properties, 0, sizeof *properties);
  strcpy(properties->name, "emulated");
  properties->uuid.bytes[15] = (char)device;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *all) {
  *free_bytes = *all = (size_t)1 << 34;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  *memory = nullptr;
  if (bytes > (size_t)1 << 34) {
    return cudaErrorMemoryAllocation;
  }
  if (outside() != cudaSuccess) {
    return outside();
  }
  *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  memset(*memory, 0xff, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void *memory) {
  free(memory);
  return outside();
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  return cudaMalloc(memory, bytes);
}

cudaError_t cudaFreeHost(void *memory) {
  return cudaFree(memory);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t) {
  return queue([=] { memset(memory, value, bytes); });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t) {
  return queue([=] { memcpy(to, from, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
  *stream = (cudaStream_t)malloc(1);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  free(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return outside();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
  *event = (cudaEvent_t)malloc(1);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
  return cudaEventCreateWithFlags(event, 0);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  free(event);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return outside();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  capturing = new std::vector<work>;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph) {
  *graph = (cudaGraph_t)capturing;
  capturing = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long) {
  *exec = (cudaGraphExec_t) new std::vector<work>(*(std::vector<work> *)graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t) {
  for (const work &w : *(std::vector<work> *)exec) {
    w();
  }
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete (std::vector<work> *)graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete (std::vector<work> *)exec;
  return cudaSuccess;
}

cudaError_t cudaGetLastError(void) {
  return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorNoDevice ? "no CUDA-capable device is detected" : "an error";
}

const char *cudaGetErrorName(cudaError_t) {
  return "cudaError";
}
}
