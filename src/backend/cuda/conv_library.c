/*
 * Convolutions by cuDNN: three plans a batch size, made when the size is first met.
 *
 * In float32 the engines read the tensors as they lie, (n, c, h, w).  On tensor cores
 * they want channels last, in bfloat16 for precision = bf16; what lies otherwise is
 * converted on the way in and out (weights are small; activations of 16 channels and more
 * lie channels last already).
 */
#include "backend/cuda/layers.h"
#include "backend/cuda/plan.h"

#include <stdio.h>

#include "base/memory.h" // counted memory

enum { TIMED = 6, ROUNDS = 5 };

struct sized {
  int32_t n; // batch size, 0: free
  struct cuda_plan plan[CUDA_CONVS];
};

/* One of the three tensors: as the backend keeps it, as the engines want it, and memory
 * for the latter where it differs. */
struct operand {
  struct kernel_shape here, there;
  bool same;
  void *copy;
  size_t copy_bytes; // of max_batch samples
};

struct cuda_library_conv {
  struct operand x, w, z; // w: samples are output channels
  int32_t weights;        // output channels
  int64_t stride, pad;
  cudnnDataType_t type;
  cudnnBackendDescriptor_t device;
  struct sized sized[CUDA_SIZES];
  char text[48];
};

static struct operand make_operand(const struct cuda_backend *cuda,
                                   const struct kernel_shape *here, int32_t samples) {
  struct operand o = {.here = *here, .there = *here};
  bool last = cuda->precision != PBT_FLOAT32;
  if (last) {
    o.there.channels_last = 1;
    o.there.channel = 1;
    o.there.column = here->c;
    o.there.row = (int64_t)here->c * here->w;
  }
  o.same = cuda->precision != PBT_BF16 && here->channels_last == o.there.channels_last;
  size_t value = cuda->precision == PBT_BF16 ? sizeof(uint16_t) : sizeof(float);
  o.copy_bytes = (size_t)here->sample * (size_t)samples * value;
  return o;
}

static struct cuda_tensor tensor_of(const struct cuda_library_conv *library,
                                    const struct operand *o, int32_t n) {
  const struct kernel_shape *s = &o->there;
  return (struct cuda_tensor){
      library->type, {n, s->c, s->h, s->w}, {s->sample, s->channel, s->row, s->column}};
}

/* ---- operands on their way in and out ---- */

static pbt_status room(struct cuda_backend *cuda, struct operand *o) {
  return o->copy != NULL ? PBT_OK
                         : pbt_cuda_allocate(&cuda->base, o->copy_bytes, &o->copy);
}

/* What the engine reads for `from`. */
static pbt_status bring(struct cuda_backend *cuda, struct operand *o, int32_t n,
                        const float *from, void **ready) {
  if (o->same) {
    *ready = (void *)(uintptr_t)from;
    return PBT_OK;
  }
  PBT_TRY(room(cuda, o));
  *ready = o->copy;
  return cuda->precision == PBT_BF16
             ? PBT_CUDA(
                   kernel_to_bf16(n, &o->here, from, &o->there, o->copy, cuda->stream))
             : PBT_CUDA(kernel_layout(n, &o->here, from, &o->there, o->copy, false,
                                      cuda->stream));
}

/* Where the engine writes what shall end in `to`. */
static pbt_status place_for(struct cuda_backend *cuda, struct operand *o, float *to,
                            bool add, void **place) {
  if (o->same && !add) {
    *place = to;
    return PBT_OK;
  }
  PBT_TRY(room(cuda, o));
  *place = o->copy;
  return PBT_OK;
}

static pbt_status take(struct cuda_backend *cuda, const struct operand *o, int32_t n,
                       const void *place, float *to, bool add) {
  if (place == to) {
    return PBT_OK;
  }
  return cuda->precision == PBT_BF16
             ? PBT_CUDA(
                   kernel_from_bf16(n, &o->there, place, &o->here, to, add, cuda->stream))
             : PBT_CUDA(
                   kernel_layout(n, &o->there, place, &o->here, to, add, cuda->stream));
}

/* ---- plans ---- */

static pbt_status time_plan(struct cuda_backend *cuda, const struct cuda_plan *plan,
                            void *const memory[3], cudaEvent_t begin, cudaEvent_t end,
                            float *best) {
  PBT_TRY(
      cuda_plan_run(cuda->cudnn, plan, memory[0], memory[1], memory[2], cuda->workspace));
  for (int i = 0; i < ROUNDS; i++) {
    PBT_TRY(PBT_CUDA(cudaEventRecord(begin, cuda->stream)));
    PBT_TRY(cuda_plan_run(cuda->cudnn, plan, memory[0], memory[1], memory[2],
                          cuda->workspace));
    PBT_TRY(PBT_CUDA(cudaEventRecord(end, cuda->stream)));
    PBT_TRY(PBT_CUDA(cudaEventSynchronize(end)));
    float milliseconds = 0;
    PBT_TRY(PBT_CUDA(cudaEventElapsedTime(&milliseconds, begin, end)));
    *best = i == 0 || milliseconds < *best ? milliseconds : *best;
  }
  return PBT_OK;
}

/* The fastest of n plans, on memory of its own. */
static pbt_status fastest(struct cuda_backend *cuda, struct cuda_library_conv *library,
                          const struct cuda_plan plan[], int n, int *winner) {
  void *memory[3] = {NULL, NULL, NULL};
  const size_t bytes[] = {library->x.copy_bytes, library->w.copy_bytes,
                          library->z.copy_bytes};
  cudaEvent_t begin = NULL, end = NULL;
  pbt_status status = PBT_OK;
  float record = 0;
  for (int i = 0; i < 3; i++) {
    PBT_TRY_TO(done, status, pbt_cuda_allocate(&cuda->base, bytes[i], &memory[i]));
  }
  PBT_TRY_TO(done, status, PBT_CUDA(cudaEventCreate(&begin)));
  PBT_TRY_TO(done, status, PBT_CUDA(cudaEventCreate(&end)));
  for (int i = 0; i < n; i++) {
    float milliseconds = 0;
    PBT_TRY_TO(done, status,
               time_plan(cuda, &plan[i], memory, begin, end, &milliseconds));
    if (i == 0 || milliseconds < record) {
      record = milliseconds;
      *winner = i;
    }
  }
done:
  if (begin != NULL) {
    cudaEventDestroy(begin);
  }
  if (end != NULL) {
    cudaEventDestroy(end);
  }
  for (int i = 0; i < 3; i++) {
    pbt_cuda_release(&cuda->base, memory[i]);
  }
  return status;
}

/* *plan stays empty where no engine fits. */
static pbt_status choose_plan(struct cuda_backend *cuda,
                              struct cuda_library_conv *library,
                              const struct cuda_plan_request *request,
                              struct cuda_plan *plan) {
  struct cuda_plan found[TIMED];
  int n = 0, winner = 0;
  PBT_TRY(cuda_plan_make(library->device, request, cuda->time_engines ? TIMED : 1, found,
                         &n));
  pbt_status status = PBT_OK;
  for (int i = 0; i < n && status == PBT_OK; i++) {
    status = pbt_cuda_reserve(cuda, (size_t)found[i].workspace);
  }
  if (status == PBT_OK && n > 1) {
    status = fastest(cuda, library, found, n, &winner);
  }
  for (int i = 0; i < n; i++) {
    if (i == winner && status == PBT_OK) {
      *plan = found[i];
    } else {
      cuda_plan_close(&found[i]);
    }
  }
  return status;
}

static void close_sized(struct sized *sized) {
  for (int k = 0; k < CUDA_CONVS; k++) {
    cuda_plan_close(&sized->plan[k]);
  }
  sized->n = 0;
}

/* The plans for n samples; *found NULL: some engine is missing. */
static pbt_status plans_for(struct cuda_backend *cuda, struct cuda_library_conv *library,
                            int32_t n, struct sized **found) {
  int at = 0;
  while (at < CUDA_SIZES && library->sized[at].n != 0 && library->sized[at].n != n) {
    at++;
  }
  at = at < CUDA_SIZES ? at : CUDA_SIZES - 1; // the last place changes hands
  struct sized *sized = &library->sized[at];
  *found = sized;
  if (sized->n == n) {
    return PBT_OK;
  }
  close_sized(sized);
  for (int k = 0; k < CUDA_CONVS; k++) {
    const struct cuda_plan_request request = {
        .kind = (enum cuda_convolution)k,
        .x = tensor_of(library, &library->x, n),
        .w = tensor_of(library, &library->w, library->weights),
        .z = tensor_of(library, &library->z, n),
        .stride = library->stride,
        .pad = library->pad,
        .tensor_cores = cuda->precision != PBT_FLOAT32,
        .any_engine = cuda->any_engine};
    PBT_TRY(choose_plan(cuda, library, &request, &sized->plan[k]));
    if (sized->plan[k].plan == NULL) {
      close_sized(sized);
      *found = NULL;
      return PBT_OK;
    }
  }
  sized->n = n;
  return PBT_OK;
}

static pbt_status open_cudnn(struct cuda_backend *cuda) {
  if (cuda->cudnn != NULL) {
    return PBT_OK;
  }
  PBT_TRY(PBT_CUDNN(cudnnCreate(&cuda->cudnn)));
  return PBT_CUDNN(cudnnSetStream(cuda->cudnn, cuda->stream));
}

pbt_status pbt_cuda_library_open(struct cuda_backend *cuda,
                                 const struct kernel_conv *conv,
                                 const struct kernel_shape *z, int32_t max_batch,
                                 struct cuda_library_conv **library) {
  *library = NULL;
  PBT_TRY(open_cudnn(cuda));
  struct cuda_library_conv *made = NULL;
  PBT_TRY(PBT_NEW(1, &made));
  struct kernel_shape w =
      pbt_cuda_canonical((struct pbt_shape){conv->x.c, conv->k, conv->k, 0});
  *made = (struct cuda_library_conv){
      .x = make_operand(cuda, &conv->x, max_batch),
      .w = make_operand(cuda, &w, conv->y.c),
      .z = make_operand(cuda, z, max_batch),
      .weights = conv->y.c,
      .stride = conv->stride,
      .pad = conv->pad,
      .type = cuda->precision == PBT_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT};
  struct sized *sized = NULL;
  pbt_status status;
  PBT_TRY_TO(done, status, cuda_describe_device(NULL, cuda->device, &made->device));
  PBT_TRY_TO(done, status, plans_for(cuda, made, max_batch, &sized));
  if (sized != NULL) {
    snprintf(made->text, sizeof made->text, " (engines %d, %d, %d)",
             (int)sized->plan[CUDA_CONV_FORWARD].engine,
             (int)sized->plan[CUDA_CONV_DWEIGHT].engine,
             (int)sized->plan[CUDA_CONV_DX].engine);
    *library = made;
    made = NULL;
  }
done:
  pbt_cuda_library_close(cuda, made);
  return status;
}

void pbt_cuda_library_close(struct cuda_backend *cuda,
                            struct cuda_library_conv *library) {
  if (library == NULL) {
    return;
  }
  for (int i = 0; i < CUDA_SIZES; i++) {
    close_sized(&library->sized[i]);
  }
  if (library->device != NULL) {
    cudnnBackendDestroyDescriptor(library->device);
  }
  pbt_cuda_release(&cuda->base, library->x.copy);
  pbt_cuda_release(&cuda->base, library->w.copy);
  pbt_cuda_release(&cuda->base, library->z.copy);
  pbt_mem_free(library);
}

static pbt_status run(struct cuda_backend *cuda, struct cuda_library_conv *library,
                      enum cuda_convolution kind, int32_t n, void *x, void *w, void *z) {
  struct sized *sized = NULL;
  PBT_TRY(plans_for(cuda, library, n, &sized));
  if (sized == NULL) {
    return pbt_fail(PBT_ERR_UNAVAILABLE,
                    "cuDNN has no engine for a convolution at batch size %d; set "
                    "PBT_CUDA_CONV=own",
                    n);
  }
  return cuda_plan_run(cuda->cudnn, &sized->plan[kind], x, w, z, cuda->workspace);
}

pbt_status pbt_cuda_library_forward(struct cuda_backend *cuda,
                                    struct cuda_library_conv *library, int32_t n,
                                    const float *x, const float *weight, float *z) {
  void *at_x = NULL, *at_w = NULL, *at_z = NULL;
  PBT_TRY(bring(cuda, &library->x, n, x, &at_x));
  PBT_TRY(bring(cuda, &library->w, library->weights, weight, &at_w));
  PBT_TRY(place_for(cuda, &library->z, z, false, &at_z));
  PBT_TRY(run(cuda, library, CUDA_CONV_FORWARD, n, at_x, at_w, at_z));
  return take(cuda, &library->z, n, at_z, z, false);
}

pbt_status pbt_cuda_library_dweight(struct cuda_backend *cuda,
                                    struct cuda_library_conv *library, int32_t n,
                                    const float *x, const float *g, float *dweight) {
  void *at_x = NULL, *at_w = NULL, *at_z = NULL;
  PBT_TRY(bring(cuda, &library->x, n, x, &at_x));
  PBT_TRY(bring(cuda, &library->z, n, g, &at_z));
  PBT_TRY(place_for(cuda, &library->w, dweight, false, &at_w));
  PBT_TRY(run(cuda, library, CUDA_CONV_DWEIGHT, n, at_x, at_w, at_z));
  return take(cuda, &library->w, library->weights, at_w, dweight, false);
}

pbt_status pbt_cuda_library_dx(struct cuda_backend *cuda,
                               struct cuda_library_conv *library, int32_t n,
                               const float *weight, const float *g, float *dx,
                               bool add_dx) {
  void *at_x = NULL, *at_w = NULL, *at_z = NULL;
  PBT_TRY(bring(cuda, &library->w, library->weights, weight, &at_w));
  PBT_TRY(bring(cuda, &library->z, n, g, &at_z));
  PBT_TRY(place_for(cuda, &library->x, dx, add_dx, &at_x));
  PBT_TRY(run(cuda, library, CUDA_CONV_DX, n, at_x, at_w, at_z));
  return take(cuda, &library->x, n, at_x, dx, add_dx);
}

const char *pbt_cuda_library_describe(const struct cuda_library_conv *library) {
  return library->text;
}
