#include "backend/cuda/staging.h"

#include <string.h>

static pbt_status settle(struct cuda_staging *staging, int chunk) {
  if (!staging->busy[chunk]) {
    return PBT_OK;
  }
  staging->busy[chunk] = false;
  return staging->ops->wait(staging->context, chunk);
}

static int take(struct cuda_staging *staging) {
  int chunk = staging->next;
  staging->next = (chunk + 1) % CUDA_CHUNKS;
  return chunk;
}

pbt_status cuda_staging_write(struct cuda_staging *staging, void *to, const void *from,
                              size_t n) {
  for (size_t at = 0; at < n; at += staging->chunk_bytes) {
    size_t part = n - at < staging->chunk_bytes ? n - at : staging->chunk_bytes;
    int chunk = take(staging);
    PBT_TRY(settle(staging, chunk));
    memcpy(staging->chunk[chunk], (const char *)from + at, part);
    staging->busy[chunk] = true;
    PBT_TRY(staging->ops->copy(staging->context, (char *)to + at, staging->chunk[chunk],
                               part, chunk));
  }
  return PBT_OK;
}

pbt_status cuda_staging_read(struct cuda_staging *staging, void *to, const void *from,
                             size_t n) {
  /* What is under way: the last copy begun, not yet taken out of its chunk. */
  int held = -1;
  size_t held_at = 0, held_bytes = 0;
  for (size_t at = 0; at < n || held >= 0; at += staging->chunk_bytes) {
    int begun = -1;
    size_t part = 0;
    if (at < n) {
      part = n - at < staging->chunk_bytes ? n - at : staging->chunk_bytes;
      begun = take(staging);
      PBT_TRY(settle(staging, begun));
      staging->busy[begun] = true;
      PBT_TRY(staging->ops->copy(staging->context, staging->chunk[begun],
                                 (const char *)from + at, part, begun));
    }
    if (held >= 0) {
      PBT_TRY(settle(staging, held));
      memcpy((char *)to + held_at, staging->chunk[held], held_bytes);
    }
    held = begun;
    held_at = at;
    held_bytes = part;
  }
  return PBT_OK;
}
