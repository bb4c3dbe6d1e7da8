#include "base/rng.h"

#include "base/detmath.h" // deterministic log

#include <Random123/philox.h>

struct pbt_rng pbt_rng_open(uint64_t seed, uint32_t member, enum pbt_purpose purpose,
                            uint64_t step) {
  return (struct pbt_rng){
      .seed = seed, .step = step, .member = member, .purpose = purpose, .used = 4};
}

static void refill(struct pbt_rng *rng) {
  philox4x32_ctr_t counter = {{rng->block, (uint32_t)rng->step,
                               (uint32_t)(rng->step >> 32 << 16) | rng->purpose,
                               rng->member}};
  philox4x32_key_t key = {{(uint32_t)rng->seed, (uint32_t)(rng->seed >> 32)}};
  philox4x32_ctr_t out = philox4x32(counter, key);
  for (int i = 0; i < 4; i++) {
    rng->word[i] = out.v[i];
  }
  rng->block++;
  rng->used = 0;
}

uint32_t pbt_rng_u32(struct pbt_rng *rng) {
  if (rng->used == 4) {
    refill(rng);
  }
  return rng->word[rng->used++];
}

uint64_t pbt_rng_u64(struct pbt_rng *rng) {
  uint64_t high = pbt_rng_u32(rng);
  return high << 32 | pbt_rng_u32(rng);
}

double pbt_rng_uniform(struct pbt_rng *rng) {
  return (double)(pbt_rng_u64(rng) >> 11) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval", 2019. */
uint32_t pbt_rng_below(struct pbt_rng *rng, uint32_t n) {
  uint64_t product = (uint64_t)pbt_rng_u32(rng) * n;
  if ((uint32_t)product < n) {
    uint32_t threshold = (uint32_t)(-n) % n;
    while ((uint32_t)product < threshold) {
      product = (uint64_t)pbt_rng_u32(rng) * n;
    }
  }
  return (uint32_t)(product >> 32);
}

/* Marsaglia's polar method; sqrt is exact by IEEE 754, log is our own. */
double pbt_rng_normal(struct pbt_rng *rng) {
  for (;;) {
    double u = 2.0 * pbt_rng_uniform(rng) - 1.0;
    double v = 2.0 * pbt_rng_uniform(rng) - 1.0;
    double s = u * u + v * v;
    if (s > 0.0 && s < 1.0) {
      return u * __builtin_sqrt(-2.0 * pbt_log(s) / s);
    }
  }
}

void pbt_rng_shuffle(struct pbt_rng *rng, int32_t *item, int64_t n) {
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = pbt_rng_below(rng, (uint32_t)(i + 1));
    int32_t held = item[i];
    item[i] = item[j];
    item[j] = held;
  }
}

struct pbt_permutation pbt_permutation_open(uint64_t seed, uint32_t member,
                                            enum pbt_purpose purpose, uint64_t step,
                                            uint64_t n) {
  struct pbt_permutation p = {.n = n, .half_bits = 1};
  while ((UINT64_C(1) << (2 * p.half_bits)) < n) {
    p.half_bits++;
  }
  struct pbt_rng rng = pbt_rng_open(seed, member, purpose, step);
  for (int i = 0; i < 8; i++) {
    p.key[i] = pbt_rng_u32(&rng);
  }
  return p;
}

/* Murmur3's finaliser over the half and the round's key. */
static uint32_t feistel_round(uint32_t half, uint32_t key) {
  uint32_t h = half * 0x9e3779b1U ^ key;
  h = (h ^ h >> 16) * 0x85ebca6bU;
  h = (h ^ h >> 13) * 0xc2b2ae35U;
  return h ^ h >> 16;
}

uint64_t pbt_permutation_at(const struct pbt_permutation *p, uint64_t i) {
  uint32_t mask = (uint32_t)((UINT64_C(1) << p->half_bits) - 1);
  do {
    uint32_t left = (uint32_t)(i >> p->half_bits);
    uint32_t right = (uint32_t)i & mask;
    for (int round = 0; round < 8; round++) {
      uint32_t next = left ^ (feistel_round(right, p->key[round]) & mask);
      left = right;
      right = next;
    }
    i = (uint64_t)left << p->half_bits | right;
  } while (i >= p->n);
  return i;
}
