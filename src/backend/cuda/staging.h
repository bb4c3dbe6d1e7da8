/*
 * staging.h - bytes through two pinned chunks, so that one is copied by the device while
 * the host fills or empties the other.  The device's part is a table of functions: the
 * pipeline is tested over plain memory.
 */
#ifndef PBT_BACKEND_CUDA_STAGING_H
#define PBT_BACKEND_CUDA_STAGING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { CUDA_CHUNKS = 2 };

struct cuda_staging_ops {
  /* Begins a copy of n bytes; `chunk` says on whose behalf. */
  pbt_status (*copy)(void *context, void *to, const void *from, size_t n, int chunk);
  /* Waits until the last copy of this chunk is done. */
  pbt_status (*wait)(void *context, int chunk);
};

struct cuda_staging {
  const struct cuda_staging_ops *ops;
  void *context;
  void *chunk[CUDA_CHUNKS]; // pinned
  size_t chunk_bytes;
  bool busy[CUDA_CHUNKS];
  int next;
};

/* On return `from` may be reused; the device has the bytes before any later work. */
pbt_status cuda_staging_write(struct cuda_staging *staging, void *to, const void *from,
                              size_t n);
/* On return the bytes are in `to`. */
pbt_status cuda_staging_read(struct cuda_staging *staging, void *to, const void *from,
                             size_t n);

#endif
