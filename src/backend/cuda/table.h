/* absent.h - the answer of a build without CUDA. */
#ifndef PBT_BACKEND_CUDA_ABSENT_H
#define PBT_BACKEND_CUDA_ABSENT_H

#include "backend/backend.h"

extern const struct pbt_backend_ops pbt_backend_cuda;

#endif
