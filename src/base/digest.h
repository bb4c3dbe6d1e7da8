/* digest.h - XXH3 of bytes: integrity, not secrecy.  Pure. */
#ifndef PBT_BASE_DIGEST_H
#define PBT_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint64_t pbt_digest(const void *data, size_t bytes);
/* Chains: the digest of what went before, then these bytes. */
uint64_t pbt_digest_more(uint64_t before, const void *data, size_t bytes);

#endif
