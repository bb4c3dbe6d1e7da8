#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static atomic_int_fast64_t blocks, held, calls;

pbt_status pbt_mem_alloc(size_t bytes, void **pointer) {
  *pointer = NULL;
  if (bytes > SIZE_MAX / 2) {
    return pbt_fail(PBT_ERR_UNAVAILABLE, "out of memory: %zu bytes asked for", bytes);
  }
  /* One line ahead of the block holds its size. */
  size_t whole = (bytes + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  char *base = aligned_alloc(ALIGNMENT, whole);
  if (base == NULL) {
    return pbt_fail(PBT_ERR_UNAVAILABLE, "out of memory: %zu bytes asked for", bytes);
  }
  memset(base, 0, whole);
  memcpy(base, &bytes, sizeof bytes);
  atomic_fetch_add(&blocks, 1);
  atomic_fetch_add(&calls, 1);
  atomic_fetch_add(&held, (int_fast64_t)bytes);
  *pointer = base + ALIGNMENT;
  return PBT_OK;
}

pbt_status pbt_mem_alloc_n(size_t n, size_t item_bytes, void **pointer) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(n, item_bytes, &bytes)) {
    *pointer = NULL;
    return pbt_fail(PBT_ERR_UNAVAILABLE, "out of memory: %zu items of %zu bytes", n,
                    item_bytes);
  }
  return pbt_mem_alloc(bytes, pointer);
}

void pbt_mem_free(void *pointer) {
  if (pointer == NULL) {
    return;
  }
  char *base = (char *)pointer - ALIGNMENT;
  size_t bytes = 0;
  memcpy(&bytes, base, sizeof bytes);
  atomic_fetch_sub(&blocks, 1);
  atomic_fetch_sub(&held, (int_fast64_t)bytes);
  free(base);
}

int64_t pbt_mem_balance(void) {
  return atomic_load(&blocks);
}

int64_t pbt_mem_bytes(void) {
  return atomic_load(&held);
}

int64_t pbt_mem_calls(void) {
  return atomic_load(&calls);
}
