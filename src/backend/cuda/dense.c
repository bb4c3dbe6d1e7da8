/*
 * Dense layers.  Small products are one own launch each way; larger ones cuBLASLt's, with
 * the bias, the ReLU and the bias gradient as its epilogues.  PBT_CUDA_DENSE = own or
 * library overrules.
 *
 * cuBLASLt counts columns first: our row-major (rows, columns) is its columns x rows.
 *   forward  y' (out x n)  = W' transposed (in x out) . x' (in x n)
 *   dweight  dW' (in x out) = x' (in x n) . g' (out x n) transposed
 *   dx       dx' (in x n)  = W' (in x out) . g' (out x n)
 */
#include "backend/cuda/layers.h"

#include <string.h>

enum { WORKSPACE = 16 << 20, SMALL = 8 << 20 };

static pbt_status check(const struct pbt_layer_desc *desc) {
  const struct pbt_shape *in = &desc->in, *out = &desc->out;
  if (out->h != 1 || out->w != 1 || in->c < 1 || in->h < 1 || in->w < 1 || out->c < 1) {
    return PBT_BUG("a dense layer with an output plane");
  }
  return PBT_OK;
}

static pbt_status open_library(struct cuda_backend *cuda) {
  PBT_TRY(pbt_cuda_reserve(cuda, WORKSPACE));
  return cuda->lt != NULL ? PBT_OK : PBT_CUBLAS(cublasLtCreate(&cuda->lt));
}

pbt_status pbt_cuda_dense_open(struct cuda_backend *cuda,
                               const struct pbt_layer_desc *desc, int32_t max_batch,
                               struct cuda_dense *dense) {
  PBT_TRY(check(desc));
  dense->x = pbt_cuda_shape(cuda, desc->in);
  dense->in = (int32_t)dense->x.sample;
  dense->out = desc->out.c;
  dense->relu = desc->relu;
  const char *choice = pbt_cuda_choice("PBT_CUDA_DENSE");
  bool small = (int64_t)max_batch * dense->in * dense->out <= SMALL;
  bool own = choice != NULL ? strcmp(choice, "own") == 0 : small;
  dense->path = own ? CUDA_DIRECT : CUDA_LIBRARY;
  if (dense->x.channels_last) {
    size_t bytes = (size_t)dense->in * (size_t)max_batch * sizeof(float);
    PBT_TRY(pbt_cuda_allocate(&cuda->base, bytes, (void **)&dense->x_copy));
    PBT_TRY(pbt_cuda_allocate(&cuda->base, bytes, (void **)&dense->dx_copy));
  }
  return own ? PBT_OK : open_library(cuda);
}

static void close_product(struct cuda_product *product) {
  if (product->a != NULL) {
    cublasLtMatrixLayoutDestroy(product->a);
  }
  if (product->b != NULL) {
    cublasLtMatrixLayoutDestroy(product->b);
  }
  if (product->d != NULL) {
    cublasLtMatrixLayoutDestroy(product->d);
  }
  if (product->desc != NULL) {
    cublasLtMatmulDescDestroy(product->desc);
  }
  *product = (struct cuda_product){0};
}

void pbt_cuda_dense_close(struct cuda_backend *cuda, struct cuda_dense *dense) {
  for (int i = 0; i < CUDA_SIZES; i++) {
    for (int k = 0; k < CUDA_PRODUCTS; k++) {
      close_product(&dense->product[i][k]);
    }
  }
  pbt_cuda_release(&cuda->base, dense->x_copy);
  pbt_cuda_release(&cuda->base, dense->dx_copy);
}

static pbt_status set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t which,
                      const void *value, size_t bytes) {
  return PBT_CUBLAS(cublasLtMatmulDescSetAttribute(desc, which, value, bytes));
}

static pbt_status choose_algorithm(struct cuda_backend *cuda,
                                   struct cuda_product *product) {
  cublasLtMatmulPreference_t preference = NULL;
  PBT_TRY(PBT_CUBLAS(cublasLtMatmulPreferenceCreate(&preference)));
  size_t workspace = WORKSPACE;
  /* Parts of a sum are added in scratch memory, in order: never as they come. */
  uint32_t schemes =
      CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  cublasLtMatmulHeuristicResult_t found;
  int n = 0;
  pbt_status status;
  PBT_TRY_TO(done, status,
             PBT_CUBLAS(cublasLtMatmulPreferenceSetAttribute(
                 preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                 sizeof workspace)));
  PBT_TRY_TO(done, status,
             PBT_CUBLAS(cublasLtMatmulPreferenceSetAttribute(
                 preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes,
                 sizeof schemes)));
  PBT_TRY_TO(done, status,
             PBT_CUBLAS(cublasLtMatmulAlgoGetHeuristic(
                 cuda->lt, product->desc, product->a, product->b, product->d, product->d,
                 preference, 1, &found, &n)));
  if (n < 1) {
    status = pbt_fail(PBT_ERR_UNAVAILABLE, "cuBLASLt has no algorithm for a dense layer");
    goto done;
  }
  product->algo = found.algo;
done:
  cublasLtMatmulPreferenceDestroy(preference);
  return status;
}

/* rows x columns of each operand as cuBLASLt counts them. */
struct sides {
  int32_t a[2], b[2], d[2];
  cublasOperation_t a_turned, b_turned;
  cublasLtEpilogue_t epilogue;
};

static pbt_status make_product(struct cuda_backend *cuda, const struct sides *sides,
                               struct cuda_product *product) {
  static const cublasComputeType_t compute[] = {
      CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32F_FAST_16BF};
  PBT_TRY(PBT_CUBLAS(
      cublasLtMatmulDescCreate(&product->desc, compute[cuda->precision], CUDA_R_32F)));
  PBT_TRY(set(product->desc, CUBLASLT_MATMUL_DESC_TRANSA, &sides->a_turned,
              sizeof sides->a_turned));
  PBT_TRY(set(product->desc, CUBLASLT_MATMUL_DESC_TRANSB, &sides->b_turned,
              sizeof sides->b_turned));
  PBT_TRY(set(product->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &sides->epilogue,
              sizeof sides->epilogue));
  const int32_t *const side[] = {sides->a, sides->b, sides->d};
  cublasLtMatrixLayout_t *const layout[] = {&product->a, &product->b, &product->d};
  for (int i = 0; i < 3; i++) {
    PBT_TRY(PBT_CUBLAS(cublasLtMatrixLayoutCreate(
        layout[i], CUDA_R_32F, (uint64_t)side[i][0], (uint64_t)side[i][1], side[i][0])));
  }
  return choose_algorithm(cuda, product);
}

/* The products for this batch size, made when it is first met. */
static pbt_status products_for(struct cuda_backend *cuda, struct cuda_dense *dense,
                               int32_t n, struct cuda_product **products) {
  int at = 0;
  while (at < CUDA_SIZES && dense->size[at] != 0 && dense->size[at] != n) {
    at++;
  }
  at = at < CUDA_SIZES ? at : CUDA_SIZES - 1; // the last place changes hands
  *products = dense->product[at];
  if (dense->size[at] == n) {
    return PBT_OK;
  }
  dense->size[at] = 0;
  int32_t in = dense->in, out = dense->out;
  const struct sides sides[CUDA_PRODUCTS] = {
      [CUDA_FORWARD] = {{in, out},
                        {in, n},
                        {out, n},
                        CUBLAS_OP_T,
                        CUBLAS_OP_N,
                        dense->relu ? CUBLASLT_EPILOGUE_RELU_BIAS
                                    : CUBLASLT_EPILOGUE_BIAS},
      [CUDA_DWEIGHT] = {{in, n},
                        {out, n},
                        {in, out},
                        CUBLAS_OP_N,
                        CUBLAS_OP_T,
                        dense->relu ? CUBLASLT_EPILOGUE_DEFAULT
                                    : CUBLASLT_EPILOGUE_BGRADB},
      [CUDA_DX] = {{in, out},
                   {out, n},
                   {in, n},
                   CUBLAS_OP_N,
                   CUBLAS_OP_N,
                   CUBLASLT_EPILOGUE_DEFAULT}};
  for (int k = 0; k < CUDA_PRODUCTS; k++) {
    close_product(&dense->product[at][k]);
    PBT_TRY(make_product(cuda, &sides[k], &dense->product[at][k]));
  }
  dense->size[at] = n;
  return PBT_OK;
}

/* d = a . b, added to what is in d where `add`; `vector`: what the epilogue reads or
 * writes. */
static pbt_status multiply(struct cuda_backend *cuda, const struct cuda_product *product,
                           const float *a, const float *b, bool add, const float *vector,
                           float *d) {
  float one = 1, beta = add ? 1 : 0;
  if (vector != NULL) {
    PBT_TRY(
        set(product->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector));
  }
  return PBT_CUBLAS(cublasLtMatmul(
      cuda->lt, product->desc, &one, a, product->a, b, product->b, &beta, d, product->d,
      d, product->d, &product->algo, cuda->workspace, WORKSPACE, cuda->stream));
}

/* x in canonical order. */
static pbt_status straight(struct cuda_backend *cuda, const struct cuda_dense *dense,
                           int32_t n, const float **x, bool fresh) {
  if (dense->x_copy == NULL) {
    return PBT_OK;
  }
  struct kernel_shape to =
      pbt_cuda_canonical((struct pbt_shape){dense->x.c, dense->x.h, dense->x.w, 0});
  const float *from = *x;
  *x = dense->x_copy;
  return fresh ? PBT_CUDA(kernel_layout(n, &dense->x, from, &to, dense->x_copy, false,
                                        cuda->stream))
               : PBT_OK;
}

pbt_status pbt_cuda_dense_forward(struct cuda_backend *cuda, struct cuda_dense *dense,
                                  const struct pbt_layer_io *io) {
  const float *x = io->x;
  PBT_TRY(straight(cuda, dense, io->n, &x, true));
  if (dense->path == CUDA_DIRECT) {
    return PBT_CUDA(kernel_dense_forward(io->n, dense->in, dense->out, dense->relu, x,
                                         io->weight, io->bias, io->y, cuda->stream));
  }
  struct cuda_product *products = NULL;
  PBT_TRY(products_for(cuda, dense, io->n, &products));
  return multiply(cuda, &products[CUDA_FORWARD], io->weight, x, false, io->bias, io->y);
}

static pbt_status backward(struct cuda_backend *cuda, struct cuda_dense *dense,
                           const struct pbt_layer_io *io, const float *x, float *dx,
                           bool add_dx) {
  if (dense->path == CUDA_DIRECT) {
    return PBT_CUDA(kernel_dense_backward(io->n, dense->in, dense->out, x, io->weight,
                                          dense->relu ? io->y : NULL, io->dy, dx, add_dx,
                                          io->dweight, io->dbias, cuda->stream));
  }
  struct cuda_product *products = NULL;
  PBT_TRY(products_for(cuda, dense, io->n, &products));
  if (dense->relu) {
    PBT_TRY(PBT_CUDA(kernel_dense_mask_bias(io->n, dense->out, true, io->y, io->dy,
                                            io->dbias, cuda->stream)));
  }
  PBT_TRY(multiply(cuda, &products[CUDA_DWEIGHT], x, io->dy, false,
                   dense->relu ? NULL : io->dbias, io->dweight));
  return dx == NULL
             ? PBT_OK
             : multiply(cuda, &products[CUDA_DX], io->weight, io->dy, add_dx, NULL, dx);
}

pbt_status pbt_cuda_dense_backward(struct cuda_backend *cuda, struct cuda_dense *dense,
                                   const struct pbt_layer_io *io) {
  const float *x = io->x;
  PBT_TRY(straight(cuda, dense, io->n, &x, false));
  bool turned = dense->dx_copy != NULL && io->dx != NULL;
  float *dx = turned ? dense->dx_copy : io->dx;
  PBT_TRY(backward(cuda, dense, io, x, dx, io->add_dx && !turned));
  if (!turned) {
    return PBT_OK;
  }
  struct kernel_shape from =
      pbt_cuda_canonical((struct pbt_shape){dense->x.c, dense->x.h, dense->x.w, 0});
  return PBT_CUDA(
      kernel_layout(io->n, &from, dx, &dense->x, io->dx, io->add_dx, cuda->stream));
}
