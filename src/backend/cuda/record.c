/*
 * Steps recorded once and replayed.
 *
 * The first step of a key runs as it is: it is a real step, and everything that CUDA and
 * its libraries load or build when first used is then there.  The second is recorded into
 * a graph, and from then on one launch a step is all the host does.  Slices of up to
 * PBT_BACKEND_QUEUE steps are queued whole, so that the host can go on to another member;
 * of longer ones at most twice as many steps are under way, and the host sleeps while it
 * waits.
 */
#include "backend/cuda/cuda.h"

static void destroy(void *exec) {
  if (exec != NULL) {
    cudaGraphExecDestroy(exec);
  }
}

void pbt_cuda_forget(struct cuda_backend *cuda) {
  for (int i = 0; i < CUDA_GRAPHS; i++) {
    destroy(cuda->graphs.graph[i].exec);
  }
  cuda->graphs = (struct cuda_graphs){0};
}

static pbt_status run_once(struct cuda_backend *cuda, struct pbt_step *step,
                           pbt_status (*body)(void *context), void *context) {
  PBT_TRY(body(context));
  return PBT_CUDA(kernel_next_step(step, cuda->stream));
}

static pbt_status record(struct cuda_backend *cuda, struct pbt_step *step,
                         pbt_status (*body)(void *context), void *context,
                         cudaGraphExec_t *exec) {
  cudaGraph_t graph = NULL;
  PBT_TRY(
      PBT_CUDA(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal)));
  pbt_status status = run_once(cuda, step, body, context);
  cudaError_t ended = cudaStreamEndCapture(cuda->stream, &graph);
  if (status == PBT_OK) {
    status = PBT_CUDA(ended);
  }
  if (status == PBT_OK) {
    status = PBT_CUDA(cudaGraphInstantiate(exec, graph, 0));
  }
  if (graph != NULL) {
    cudaGraphDestroy(graph);
  }
  return status;
}

static pbt_status replay(struct cuda_backend *cuda, cudaGraphExec_t exec, int64_t n) {
  cudaEvent_t mark[2] = {NULL, NULL};
  pbt_status status = PBT_OK;
  int rounds = 0;
  for (int64_t i = 0; i < n && status == PBT_OK; i++) {
    status = PBT_CUDA(cudaGraphLaunch(exec, cuda->stream));
    if (status != PBT_OK || (i + 1) % PBT_BACKEND_QUEUE != 0 || i + 1 == n) {
      continue;
    }
    cudaEvent_t *now = &mark[rounds % 2], *before = &mark[(rounds + 1) % 2];
    if (*now == NULL) {
      PBT_TRY_TO(done, status,
                 PBT_CUDA(cudaEventCreateWithFlags(now, cudaEventDisableTiming |
                                                            cudaEventBlockingSync)));
    }
    PBT_TRY_TO(done, status, PBT_CUDA(cudaEventRecord(*now, cuda->stream)));
    if (rounds++ > 0) {
      cuda->waits++;
      status = PBT_CUDA(cudaEventSynchronize(*before));
    }
  }
done:
  for (int i = 0; i < 2; i++) {
    if (mark[i] != NULL) {
      cudaEventDestroy(mark[i]);
    }
  }
  return status;
}

pbt_status pbt_cuda_repeat(struct pbt_backend *backend, uint64_t key, int64_t n,
                           struct pbt_step *step, pbt_status (*body)(void *context),
                           void *context) {
  struct cuda_backend *cuda = cuda_of(backend);
  if (n < 1) {
    return PBT_OK;
  }
  if (key == 0) {
    for (int64_t i = 0; i < n; i++) {
      PBT_TRY(run_once(cuda, step, body, context));
    }
    return PBT_OK;
  }
  void *dropped = NULL;
  struct cuda_graph *graph = cuda_graph_take(
      &cuda->graphs, key, (const void *)(uintptr_t)body, context, &dropped);
  destroy(dropped);
  if (!graph->ready) {
    PBT_TRY(run_once(cuda, step, body, context));
    /* Looked up again: what the first step made room for may have dropped them all. */
    graph = cuda_graph_take(&cuda->graphs, key, (const void *)(uintptr_t)body, context,
                            &dropped);
    graph->ready = true;
    n--;
  }
  if (n > 0 && graph->exec == NULL) {
    PBT_TRY(record(cuda, step, body, context, (cudaGraphExec_t *)&graph->exec));
  }
  return n > 0 ? replay(cuda, graph->exec, n) : PBT_OK;
}
