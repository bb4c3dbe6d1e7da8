/*
 * A stratified split.  Class k of n_k samples gives round(share N_k) - round(share
 * N_{k-1}) of them, N_k being the running total: every class is within one sample of its
 * share, and the sum is exactly round(share n), so the sizes are known before a label is
 * read.
 */
#include "data/split.h"

#include "base/memory.h" // scratch
#include "base/rng.h"    // PBT_RNG_SPLIT

int64_t pbt_split_count(double share, int64_t n) {
  return (int64_t)(share * (double)n + 0.5);
}

/* Marks the held-out ones of class `k`: slot[i] = 1.  `member` is scratch of n. */
static pbt_status hold_out(const uint8_t *label, int64_t n, int32_t k, double share,
                           uint64_t seed, int64_t *before, int32_t *member,
                           int64_t slot[]) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (label[i] == k) {
      member[count++] = (int32_t)i;
    }
  }
  int64_t held =
      pbt_split_count(share, *before + count) - pbt_split_count(share, *before);
  *before += count;
  if (held == 0 || held == count) {
    return pbt_fail(PBT_ERR_DATA,
                    "class %d has %lld images: a share of %g would hold back "
                    "%lld and leave %lld; both must be at least 1",
                    k, (long long)count, share, (long long)held,
                    (long long)(count - held));
  }
  struct pbt_rng rng = pbt_rng_open(seed, PBT_RNG_NOBODY, PBT_RNG_SPLIT, (uint64_t)k);
  pbt_rng_shuffle(&rng, member, count);
  for (int64_t i = 0; i < held; i++) {
    slot[member[i]] = 1;
  }
  return PBT_OK;
}

pbt_status pbt_split(const uint8_t *label, int64_t n, int32_t n_class, double share,
                     uint64_t seed, int64_t slot[]) {
  int32_t *member = NULL;
  PBT_TRY(PBT_NEW(n, &member));
  pbt_status status = PBT_OK;
  for (int64_t i = 0; i < n; i++) {
    slot[i] = 0;
  }
  int64_t before = 0;
  for (int32_t k = 0; k < n_class; k++) {
    PBT_TRY_TO(done, status, hold_out(label, n, k, share, seed, &before, member, slot));
  }
  int64_t train = 0, validation = n - pbt_split_count(share, n);
  for (int64_t i = 0; i < n; i++) {
    slot[i] = slot[i] == 0 ? train++ : validation++;
  }
done:
  pbt_mem_free(member);
  return status;
}
