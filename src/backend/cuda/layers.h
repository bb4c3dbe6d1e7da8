/* layers.h - what each kind of layer keeps. */
#ifndef PBT_BACKEND_CUDA_LAYERS_H
#define PBT_BACKEND_CUDA_LAYERS_H

#include "backend/cuda/cuda.h"

struct cuda_library_conv; // conv_library.c: plans of cuDNN

enum cuda_path {
  CUDA_DIRECT,  // own kernels, everything fused
  CUDA_LIBRARY, // cuDNN or cuBLASLt, and own kernels around it
  CUDA_PLAIN    // own loops
};

struct cuda_conv {
  enum cuda_path path;
  struct kernel_conv shape;
  struct kernel_shape z; // before the pool
  float *z_memory;       // NULL without a pool: then z is y, and its gradient dy
  uint8_t *place;
  float *partial;
  struct cuda_library_conv *library;
};

/* A product by cuBLASLt, for one batch size. */
enum { CUDA_FORWARD, CUDA_DWEIGHT, CUDA_DX, CUDA_PRODUCTS, CUDA_SIZES = 4 };
struct cuda_product {
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, d;
  cublasLtMatmulAlgo_t algo;
};

struct cuda_dense {
  enum cuda_path path;
  int32_t in, out;
  bool relu;
  struct kernel_shape x;    // as it lies
  float *x_copy, *dx_copy;  // in canonical order, where x lies in another
  int32_t size[CUDA_SIZES]; // batch sizes that have products; 0: none
  struct cuda_product product[CUDA_SIZES][CUDA_PRODUCTS];
};

struct cuda_norm {
  struct kernel_norm shape;
  int32_t blocks;
  float *saved, *means;
  struct kernel_sums sums;
};

struct cuda_pool {
  struct kernel_pool shape;
  uint16_t *place;
};

struct cuda_dropout {
  struct kernel_shape shape;
  int32_t stream;
};

struct pbt_layer {
  enum pbt_layer_kind kind;
  int32_t max_batch;
  union {
    struct cuda_conv conv;
    struct cuda_dense dense;
    struct cuda_norm norm; // ADD too
    struct cuda_pool pool;
    struct cuda_dropout dropout;
  };
  char description[96];
};

/* "own" or "library" in this environment variable, else NULL. */
const char *pbt_cuda_choice(const char *variable);

pbt_status pbt_cuda_conv_open(struct cuda_backend *cuda,
                              const struct pbt_layer_desc *desc, int32_t max_batch,
                              struct cuda_conv *conv);
void pbt_cuda_conv_close(struct cuda_backend *cuda, struct cuda_conv *conv);
pbt_status pbt_cuda_conv_forward(struct cuda_backend *cuda, const struct cuda_conv *conv,
                                 const struct pbt_layer_io *io);
pbt_status pbt_cuda_conv_backward(struct cuda_backend *cuda, const struct cuda_conv *conv,
                                  const struct pbt_layer_io *io);

/* conv_library.c.  *library stays NULL where no engine takes the shape. */
pbt_status pbt_cuda_library_open(struct cuda_backend *cuda,
                                 const struct kernel_conv *conv,
                                 const struct kernel_shape *z, int32_t max_batch,
                                 struct cuda_library_conv **library);
void pbt_cuda_library_close(struct cuda_backend *cuda, struct cuda_library_conv *library);
pbt_status pbt_cuda_library_forward(struct cuda_backend *cuda,
                                    struct cuda_library_conv *library, int32_t n,
                                    const float *x, const float *weight, float *z);
pbt_status pbt_cuda_library_dweight(struct cuda_backend *cuda,
                                    struct cuda_library_conv *library, int32_t n,
                                    const float *x, const float *g, float *dweight);
pbt_status pbt_cuda_library_dx(struct cuda_backend *cuda,
                               struct cuda_library_conv *library, int32_t n,
                               const float *weight, const float *g, float *dx,
                               bool add_dx);
const char *pbt_cuda_library_describe(const struct cuda_library_conv *library);

pbt_status pbt_cuda_dense_open(struct cuda_backend *cuda,
                               const struct pbt_layer_desc *desc, int32_t max_batch,
                               struct cuda_dense *dense);
void pbt_cuda_dense_close(struct cuda_backend *cuda, struct cuda_dense *dense);
pbt_status pbt_cuda_dense_forward(struct cuda_backend *cuda, struct cuda_dense *dense,
                                  const struct pbt_layer_io *io);
pbt_status pbt_cuda_dense_backward(struct cuda_backend *cuda, struct cuda_dense *dense,
                                   const struct pbt_layer_io *io);

pbt_status pbt_cuda_norm_open(struct cuda_backend *cuda,
                              const struct pbt_layer_desc *desc, int32_t max_batch,
                              struct cuda_norm *norm);
void pbt_cuda_norm_close(struct cuda_backend *cuda, struct cuda_norm *norm);

#endif
