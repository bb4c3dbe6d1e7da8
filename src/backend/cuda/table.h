/* table.h - the backend "cuda" as the program sees it: absent.c or present.c. */
#ifndef PBT_BACKEND_CUDA_TABLE_H
#define PBT_BACKEND_CUDA_TABLE_H

#include "backend/backend.h"

/* Of its functions only open and close; an open backend brings its own table. */
extern const struct pbt_backend_ops pbt_backend_cuda;

extern const char pbt_backend_cuda_note[]; // "not built in"

#endif
