/* module.h - what load.c looks for in pbt_cuda.so. */
#ifndef PBT_BACKEND_CUDA_MODULE_H
#define PBT_BACKEND_CUDA_MODULE_H

#include "backend/backend.h"

/* Changes with every struct of backend.h that crosses the module's border. */
enum { PBT_CUDA_MODULE_VERSION = 2 };

/* NULL for another version. */
__attribute__((visibility("default"))) const struct pbt_backend_ops *
pbt_cuda_module(int version);

/* Times that the host has waited for the device; for the tests. */
__attribute__((visibility("default"))) int64_t
pbt_cuda_waits(const struct pbt_backend *backend);

#endif
