#include "backend/cuda/plan.h"

#include <string.h>

typedef cudnnBackendDescriptor_t descriptor;

enum { ID_X = 1, ID_W, ID_Z, MOST_CONFIGS = 32 };

pbt_status pbt_cudnn_check(cudnnStatus_t error, const char *call, const char *file,
                           int line) {
  if (error == CUDNN_STATUS_SUCCESS) {
    return PBT_OK;
  }
  char words[200] = "";
  cudnnGetLastErrorString(words, sizeof words);
  return pbt_fail(PBT_ERR_UNAVAILABLE, "%.120s: %s%s%s [%s:%d]", call,
                  cudnnGetErrorString(error), words[0] != '\0' ? ": " : "", words, file,
                  line);
}

static void drop(descriptor *d) {
  if (*d != NULL) {
    cudnnBackendDestroyDescriptor(*d);
    *d = NULL;
  }
}

static pbt_status create(cudnnBackendDescriptorType_t type, descriptor *d) {
  return PBT_CUDNN(cudnnBackendCreateDescriptor(type, d));
}

static pbt_status set(descriptor d, cudnnBackendAttributeName_t name,
                      cudnnBackendAttributeType_t type, int64_t n, const void *value) {
  return PBT_CUDNN(cudnnBackendSetAttribute(d, name, type, n, value));
}

static pbt_status set_descriptor(descriptor d, cudnnBackendAttributeName_t name,
                                 descriptor value) {
  return set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static pbt_status finalize(descriptor d) {
  return PBT_CUDNN(cudnnBackendFinalize(d));
}

pbt_status cuda_describe_device(const char *json, int32_t device,
                                descriptor *description) {
  *description = NULL;
  PBT_TRY(create(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, description));
  pbt_status status = json != NULL
                          ? set(*description, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                CUDNN_TYPE_CHAR, (int64_t)strlen(json) + 1, json)
                          : set(*description, CUDNN_ATTR_DEVICEPROP_DEVICE_ID,
                                CUDNN_TYPE_INT32, 1, &device);
  if (status == PBT_OK) {
    status = finalize(*description);
  }
  if (status != PBT_OK) {
    drop(description);
  }
  return status;
}

static pbt_status make_tensor(const struct cuda_tensor *from, int64_t id,
                              descriptor *tensor) {
  int64_t alignment = 16;
  PBT_TRY(create(CUDNN_BACKEND_TENSOR_DESCRIPTOR, tensor));
  PBT_TRY(
      set(*tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &from->type));
  PBT_TRY(set(*tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, from->dim));
  PBT_TRY(set(*tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, from->stride));
  PBT_TRY(set(*tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id));
  PBT_TRY(
      set(*tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment));
  return finalize(*tensor);
}

static pbt_status make_convolution(const struct cuda_plan_request *request,
                                   descriptor *convolution) {
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  int64_t axes = 2, one[2] = {1, 1};
  int64_t stride[2] = {request->stride, request->stride};
  int64_t pad[2] = {request->pad, request->pad};
  PBT_TRY(create(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, convolution));
  descriptor c = *convolution;
  PBT_TRY(set(c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute));
  PBT_TRY(
      set(c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode));
  PBT_TRY(set(c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, one));
  PBT_TRY(set(c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride));
  PBT_TRY(set(c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pad));
  PBT_TRY(set(c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pad));
  PBT_TRY(set(c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes));
  return finalize(c);
}

/* The names that the three products have for the same things. */
static const struct names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, w, z, alpha, beta;
} names_of[CUDA_CONVS] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
};

/* What a graph is made of; gone once a plan is. */
struct parts {
  descriptor x, w, z, convolution, operation, graph, heuristics;
  descriptor config[MOST_CONFIGS];
};

static void drop_parts(struct parts *parts) {
  descriptor *const all[] = {
      &parts->heuristics, &parts->graph, &parts->operation, &parts->convolution,
      &parts->x,          &parts->w,     &parts->z};
  for (int i = 0; i < MOST_CONFIGS; i++) {
    drop(&parts->config[i]);
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    drop(all[i]);
  }
}

static pbt_status make_graph(const struct cuda_plan_request *request,
                             struct parts *parts) {
  const struct names *names = &names_of[request->kind];
  float one = 1, zero = 0;
  PBT_TRY(make_tensor(&request->x, ID_X, &parts->x));
  PBT_TRY(make_tensor(&request->w, ID_W, &parts->w));
  PBT_TRY(make_tensor(&request->z, ID_Z, &parts->z));
  PBT_TRY(make_convolution(request, &parts->convolution));
  PBT_TRY(create(names->type, &parts->operation));
  PBT_TRY(set_descriptor(parts->operation, names->convolution, parts->convolution));
  PBT_TRY(set_descriptor(parts->operation, names->x, parts->x));
  PBT_TRY(set_descriptor(parts->operation, names->w, parts->w));
  PBT_TRY(set_descriptor(parts->operation, names->z, parts->z));
  PBT_TRY(set(parts->operation, names->alpha, CUDNN_TYPE_FLOAT, 1, &one));
  PBT_TRY(set(parts->operation, names->beta, CUDNN_TYPE_FLOAT, 1, &zero));
  PBT_TRY(finalize(parts->operation));
  PBT_TRY(create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &parts->graph));
  PBT_TRY(set_descriptor(parts->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, parts->operation));
  return finalize(parts->graph);
}

/* The engine configurations of one way of guessing, best first; 0 where it fails. */
static pbt_status ask(descriptor device, cudnnBackendHeurMode_t mode, struct parts *parts,
                      int64_t *n) {
  *n = 0;
  drop(&parts->heuristics);
  PBT_TRY(create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &parts->heuristics));
  descriptor h = parts->heuristics;
  PBT_TRY(set_descriptor(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, parts->graph));
  PBT_TRY(set(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
  PBT_TRY(set_descriptor(h, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device));
  if (cudnnBackendFinalize(h) != CUDNN_STATUS_SUCCESS) {
    return PBT_OK;
  }
  for (int i = 0; i < MOST_CONFIGS; i++) {
    drop(&parts->config[i]);
    PBT_TRY(create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &parts->config[i]));
  }
  PBT_TRY(PBT_CUDNN(cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                             CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_CONFIGS,
                                             n, parts->config)));
  *n = *n < MOST_CONFIGS ? *n : MOST_CONFIGS;
  return PBT_OK;
}

/* Notes that bar an engine.  Large Winograd tiles lose more digits than TF32 keeps. */
static bool barred(const struct cuda_plan_request *request,
                   cudnnBackendNumericalNote_t note) {
  switch (note) {
  case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
    return !request->any_engine;
  case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
  case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
    return !request->tensor_cores;
  case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
  case CUDNN_NUMERICAL_NOTE_FFT:
  case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
  case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
    return true;
  default:
    return false;
  }
}

static bool suits(const struct cuda_plan_request *request, descriptor config,
                  int64_t *index) {
  descriptor engine = NULL;
  int64_t n = 0, notes = 0;
  cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  bool good =
      cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) ==
          CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n,
                               &engine) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64,
                               1, &n, index) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                               CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                               &notes, note) == CUDNN_STATUS_SUCCESS;
  for (int64_t i = 0; i < notes && good; i++) {
    good = !barred(request, note[i]);
  }
  drop(&engine);
  return good;
}

/* Takes over the configuration; *plan stays empty where the engine refuses. */
static bool make_plan(descriptor device, descriptor *config, int64_t engine,
                      struct cuda_plan *plan) {
  int64_t n = 0;
  *plan = (struct cuda_plan){.engine = engine};
  bool good =
      cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
                                   &plan->plan) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendSetAttribute(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                               config) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendSetAttribute(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                               &device) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendFinalize(plan->plan) == CUDNN_STATUS_SUCCESS &&
      cudnnBackendGetAttribute(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                               CUDNN_TYPE_INT64, 1, &n,
                               &plan->workspace) == CUDNN_STATUS_SUCCESS;
  if (!good) {
    cuda_plan_close(plan);
    return false;
  }
  plan->config = *config;
  *config = NULL;
  return true;
}

pbt_status cuda_plan_make(descriptor device, const struct cuda_plan_request *request,
                          int most, struct cuda_plan plan[], int *n) {
  static const cudnnBackendHeurMode_t mode[] = {CUDNN_HEUR_MODE_A,
                                                CUDNN_HEUR_MODE_FALLBACK};
  struct parts parts = {0};
  *n = 0;
  pbt_status status = make_graph(request, &parts);
  for (int m = 0; m < 2 && *n == 0 && status == PBT_OK; m++) {
    int64_t configs = 0;
    status = ask(device, mode[m], &parts, &configs);
    for (int64_t i = 0; i < configs && *n < most && status == PBT_OK; i++) {
      int64_t engine = 0;
      if (suits(request, parts.config[i], &engine) &&
          make_plan(device, &parts.config[i], engine, &plan[*n])) {
        ++*n;
      }
    }
  }
  drop_parts(&parts);
  return status;
}

void cuda_plan_close(struct cuda_plan *plan) {
  drop(&plan->plan);
  drop(&plan->config);
}

pbt_status cuda_plan_run(cudnnHandle_t handle, const struct cuda_plan *plan, void *x,
                         void *w, void *z, void *workspace) {
  descriptor pack = NULL;
  const int64_t id[] = {ID_X, ID_W, ID_Z};
  void *const memory[] = {x, w, z};
  pbt_status status;
  PBT_TRY_TO(done, status, create(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack));
  PBT_TRY_TO(done, status,
             set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, id));
  PBT_TRY_TO(
      done, status,
      set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, memory));
  PBT_TRY_TO(
      done, status,
      set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace));
  PBT_TRY_TO(done, status, finalize(pack));
  PBT_TRY_TO(done, status, PBT_CUDNN(cudnnBackendExecute(handle, plan->plan, pack)));
done:
  drop(&pack);
  return status;
}
