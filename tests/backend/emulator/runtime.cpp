/*
 * The part of CUDA's runtime that the backend calls, over host memory: one device, graphs
 * as lists of what was captured, and streams that put everything off.  Work is done when
 * the host waits for it, and not before; of other streams only what that work was told to
 * wait for.  So a host that looks too early, or a copy between streams in no order, finds
 * the old bytes.  Memory is filled with rubbish when it is allocated.
 *
 * EMULATOR_DEVICES sets the number of devices.  With EMULATOR_LOG a line is added to that
 * file at the end: on how many streams there were kernels while the host waited.
 */
#include "emulator.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <vector>

void emulator_run(dim3 grid, int block, size_t shared,
                  const std::function<void()> &thread);

namespace {
using work = std::function<void()>;
using works = std::vector<work>;

struct stream {
  std::deque<work> queue;
  size_t given = 0, done = 0;
  size_t launched = 0; // up to the last kernel or graph
};
using stream_ref = std::shared_ptr<stream>;

struct event {
  stream_ref on;
  size_t place = 0; // what had been given by then
};

works *capturing;
std::set<stream_ref *> streams;
size_t most_busy;

void give(cudaStream_t s, work w) {
  if (capturing != nullptr) {
    capturing->push_back(w);
    return;
  }
  stream &to = **(stream_ref *)s;
  to.queue.push_back(w);
  to.given++;
}

cudaError_t queue(cudaStream_t s, work w) {
  if (s == nullptr) {
    return cudaErrorInvalidResourceHandle; // the backend has streams of its own
  }
  give(s, w);
  return cudaSuccess;
}

cudaError_t queue_launch(cudaStream_t s, work w) {
  cudaError_t error = queue(s, w);
  if (error == cudaSuccess && capturing == nullptr) {
    stream &to = **(stream_ref *)s;
    to.launched = to.given;
  }
  return error;
}

void run_to(stream &s, size_t place) {
  while (s.done < place) {
    work w = s.queue.front();
    s.queue.pop_front();
    s.done++;
    w();
  }
}

/* The host waits. */
void await(stream &s, size_t place) {
  size_t busy = 0;
  for (stream_ref *other : streams) {
    busy += (*other)->done < (*other)->launched;
  }
  most_busy = busy > most_busy && s.done < place ? busy : most_busy;
  run_to(s, place);
}

void await_all() {
  for (stream_ref *s : streams) {
    run_to(**s, (*s)->given);
  }
}

/* What may not be called while a stream is captured. */
cudaError_t outside() {
  return capturing == nullptr ? cudaSuccess : cudaErrorStreamCaptureUnsupported;
}

struct at_the_end {
  ~at_the_end() {
    const char *path = getenv("EMULATOR_LOG");
    FILE *file = path != nullptr && most_busy > 0 ? fopen(path, "a") : nullptr;
    if (file != nullptr) {
      fprintf(file, "%zu streams\n", most_busy);
      fclose(file);
    }
  }
} the_end;
} // namespace

cudaError_t emulator_launch(dim3 grid, int block, size_t shared, cudaStream_t stream,
                            std::function<void()> thread) {
  if (shared > 48 * 1024) {
    return cudaErrorInvalidValue;
  }
  return queue_launch(stream, [=] { emulator_run(grid, block, shared, thread); });
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
  await_all();
  free(memory);
  return outside();
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  return cudaMalloc(memory, bytes);
}

cudaError_t cudaFreeHost(void *memory) {
  return cudaFree(memory);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t s) {
  return queue(s, [=] { memset(memory, value, bytes); });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t s) {
  return queue(s, [=] { memcpy(to, from, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned) {
  stream_ref *made = new stream_ref(std::make_shared<stream>());
  streams.insert(made);
  *s = (cudaStream_t)made;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s) {
  stream_ref *ref = (stream_ref *)s;
  run_to(**ref, (*ref)->given);
  streams.erase(ref);
  delete ref;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  stream &of = **(stream_ref *)s;
  await(of, of.given);
  return outside();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  event at = *(event *)e;
  return at.on == nullptr ? cudaSuccess : queue(s, [=] { run_to(*at.on, at.place); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned) {
  *e = (cudaEvent_t) new event;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e) {
  return cudaEventCreateWithFlags(e, 0);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete (event *)e;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  stream_ref on = *(stream_ref *)s;
  *(event *)e = event{on, on->given};
  return outside();
}

cudaError_t cudaEventQuery(cudaEvent_t e) {
  const event &at = *(event *)e;
  return at.on == nullptr || at.on->done >= at.place ? outside() : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  event at = *(event *)e;
  if (at.on != nullptr) {
    await(*at.on, at.place);
  }
  return outside();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  capturing = new works;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph) {
  *graph = (cudaGraph_t)capturing;
  capturing = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long) {
  *exec = (cudaGraphExec_t) new std::shared_ptr<works>(new works(*(works *)graph));
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s) {
  std::shared_ptr<works> all = *(std::shared_ptr<works> *)exec;
  return queue_launch(s, [=] {
    for (const work &w : *all) {
      w();
    }
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete (works *)graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete (std::shared_ptr<works> *)exec;
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
