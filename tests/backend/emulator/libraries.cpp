/*
 * cuBLASLt's product as three loops, with the epilogues that the backend asks for, from
 * the meaning that its manual gives them.
 */
#include <cublasLt.h>

#include <cstring>
#include <functional>

#include "emulator.h"

struct desc {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  float *vector = nullptr;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
};

struct layout {
  uint64_t rows, columns;
  int64_t ld;
};

static const layout *of(cublasLtMatrixLayout_t l) {
  return (const layout *)l;
}

static void multiply(desc d, float alpha, const float *A, layout a, const float *B,
                     layout b, float beta, const float *C, float *D, layout out) {
  uint64_t depth = d.a == CUBLAS_OP_N ? a.columns : a.rows;
  int digits = d.compute == CUBLAS_COMPUTE_32F_FAST_TF32   ? 11
               : d.compute == CUBLAS_COMPUTE_32F_FAST_16BF ? 8
                                                           : 24;
  auto at_a = [&](uint64_t i, uint64_t k) {
    float v = d.a == CUBLAS_OP_N ? A[k * a.ld + i] : A[i * a.ld + k];
    return digits < 24 ? emulator_round(v, digits) : (double)v;
  };
  auto at_b = [&](uint64_t k, uint64_t j) {
    float v = d.b == CUBLAS_OP_N ? B[j * b.ld + k] : B[k * b.ld + j];
    return digits < 24 ? emulator_round(v, digits) : (double)v;
  };
  for (uint64_t j = 0; j < out.columns; j++) {
    for (uint64_t i = 0; i < out.rows; i++) {
      double sum = 0;
      for (uint64_t k = 0; k < depth; k++) {
        sum += at_a(i, k) * at_b(k, j);
      }
      float v = (float)(alpha * sum) + (beta != 0 ? beta * C[j * out.ld + i] : 0);
      bool bias = d.epilogue == CUBLASLT_EPILOGUE_BIAS ||
                  d.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
      v += bias ? d.vector[i] : 0;
      D[j * out.ld + i] = d.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS && v < 0 ? 0 : v;
    }
    if (d.epilogue == CUBLASLT_EPILOGUE_BGRADB) {
      double sum = 0;
      for (uint64_t k = 0; k < depth; k++) {
        sum += at_b(k, j);
      }
      d.vector[j] = (float)sum;
    }
  }
}

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  *handle = (cublasLtHandle_t)malloc(1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  free(handle);
  return CUBLAS_STATUS_SUCCESS;
}

const char *cublasLtGetStatusString(cublasStatus_t) {
  return "an error";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made,
                                        cublasComputeType_t compute, cudaDataType_t) {
  desc *d = new desc;
  d->compute = compute;
  *made = (cublasLtMatmulDesc_t)d;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  delete (desc *)d;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t opaque,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t bytes) {
  desc *d = (desc *)opaque;
  void *to = which == CUBLASLT_MATMUL_DESC_TRANSA         ? (void *)&d->a
             : which == CUBLASLT_MATMUL_DESC_TRANSB       ? (void *)&d->b
             : which == CUBLASLT_MATMUL_DESC_EPILOGUE     ? (void *)&d->epilogue
             : which == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? (void *)&d->vector
                                                          : nullptr;
  if (to == nullptr) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  memcpy(to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
  *made = (cublasLtMatrixLayout_t) new layout{rows, columns, ld};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  delete (layout *)l;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made) {
  *made = (cublasLtMatmulPreference_t)malloc(1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  free(p);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t,
                                                    const void *, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
    cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
    cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t *result, int *n) {
  memset(result, 0, sizeof *result);
  *n = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t opaque,
                              const void *alpha, const void *A, cublasLtMatrixLayout_t a,
                              const void *B, cublasLtMatrixLayout_t b, const void *beta,
                              const void *C, cublasLtMatrixLayout_t, void *D,
                              cublasLtMatrixLayout_t out, const cublasLtMatmulAlgo_t *,
                              void *, size_t, cudaStream_t stream) {
  desc d = *(desc *)opaque; // as it stands now: the next call may change it
  layout la = *of(a), lb = *of(b), lo = *of(out);
  float x = *(const float *)alpha, y = *(const float *)beta;
  uint64_t depth_a = d.a == CUBLAS_OP_N ? la.columns : la.rows;
  uint64_t depth_b = d.b == CUBLAS_OP_N ? lb.rows : lb.columns;
  uint64_t rows = d.a == CUBLAS_OP_N ? la.rows : la.columns;
  uint64_t columns = d.b == CUBLAS_OP_N ? lb.columns : lb.rows;
  if (depth_a != depth_b || rows != lo.rows || columns != lo.columns) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  emulator_launch(dim3(1), 1, 0, stream, [=] {
    multiply(d, x, (const float *)A, la, (const float *)B, lb, y, (const float *)C,
             (float *)D, lo);
  });
  return CUBLAS_STATUS_SUCCESS;
}
}
