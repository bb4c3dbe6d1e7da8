#include "base/digest.h"

#include <xxhash.h>

uint64_t pbt_digest(const void *data, size_t bytes) {
  return XXH3_64bits(data, bytes);
}

uint64_t pbt_digest_more(uint64_t before, const void *data, size_t bytes) {
  return XXH3_64bits_withSeed(data, bytes, before);
}
