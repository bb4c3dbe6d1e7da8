/*
 * memory.h - counted, 64-byte aligned host memory.
 *
 * Every block is counted, so a test that ends with pbt_mem_balance() != 0 has found a
 * leak, and a step loop that moves pbt_mem_calls() allocates.  Local, thread-safe.
 */
#ifndef PBT_BASE_MEMORY_H
#define PBT_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h" // pbt_status

/* Zeroed; *pointer stays NULL on failure (PBT_ERR_UNAVAILABLE, with the size). */
pbt_status pbt_mem_alloc(size_t bytes, void **pointer);
/* n items; overflow is a failure too. */
pbt_status pbt_mem_alloc_n(size_t n, size_t item_bytes, void **pointer);
void pbt_mem_free(void *pointer); // NULL is fine

int64_t pbt_mem_balance(void); // blocks allocated and not freed
int64_t pbt_mem_bytes(void);   // bytes held now
int64_t pbt_mem_calls(void);   // allocations since the start

/* Typed convenience: PBT_NEW(n, &p). */
#define PBT_NEW(n, pointer)                                                              \
  pbt_mem_alloc_n((size_t)(n), sizeof **(pointer), (void **)(pointer))

#endif
