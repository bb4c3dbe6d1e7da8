/*
 * rng.h - counter-based randomness: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel
 * random numbers: as easy as 1, 2, 3", SC 2011), keyed by who draws and what for.
 *
 * A stream is named by (run seed, member, purpose, step) and nothing else: no state has
 * to be saved, and a result never depends on which rank drew it or in which order.  Use
 * one stream for one decision; two decisions that share a name share their numbers.
 * Local.
 */
#ifndef PBT_BASE_RNG_H
#define PBT_BASE_RNG_H

#include <stdint.h>

/* Who draws.  The order is part of every result: append, never insert. */
enum pbt_purpose {
  PBT_RNG_SPLIT = 1, // train / validation split of the data
  PBT_RNG_DIGITS,    // generated digits
  PBT_RNG_SEEDING,   // first hyperparameters of a member
  PBT_RNG_INIT,      // first weights; step = restarts so far
  PBT_RNG_SHUFFLE,   // order of the training samples; step = epoch
  PBT_RNG_RANK,      // coin for equal scores
  PBT_RNG_EXPLOIT,   // who copies whom
  PBT_RNG_EXPLORE,   // how hyperparameters move
  PBT_RNG_DROPOUT,   // masks; step = optimiser step
  PBT_RNG_AUGMENT,   // augmentation; step = position in the stream of samples
  PBT_RNG_TASK,      // for a task's own use
  PBT_RNG_TEST,      // never used by the program
  PBT_RNG_PART       // samples of a split to score on
};

enum { PBT_RNG_NOBODY = 0xffffffff }; // `member` of a draw that belongs to no member

struct pbt_rng {
  uint64_t seed;
  uint64_t step; // below 2^48
  uint32_t member;
  uint32_t purpose;
  uint32_t block; // next Philox counter
  uint32_t used;  // words of `word` handed out
  uint32_t word[4];
};

/* A stream at its beginning. */
struct pbt_rng pbt_rng_open(uint64_t seed, uint32_t member, enum pbt_purpose purpose,
                            uint64_t step);

uint32_t pbt_rng_u32(struct pbt_rng *rng);
uint64_t pbt_rng_u64(struct pbt_rng *rng);
/* [0, 1), 53 bits. */
double pbt_rng_uniform(struct pbt_rng *rng);
/* 0 .. n-1 without bias; n >= 1. */
uint32_t pbt_rng_below(struct pbt_rng *rng, uint32_t n);
/* Standard normal, by our own deterministic log: the same bits on every machine. */
double pbt_rng_normal(struct pbt_rng *rng);
/* Fisher-Yates over n ints. */
void pbt_rng_shuffle(struct pbt_rng *rng, int32_t *item, int64_t n);

/* A random permutation of 0..n-1 without storing it: where does i go?  A bijection for
 * each stream name (Feistel network keyed by Philox, cycle walking).  1 <= n < 2^32. */
struct pbt_permutation {
  uint64_t n;
  uint32_t half_bits; // each Feistel half
  uint32_t key[8];
};
struct pbt_permutation pbt_permutation_open(uint64_t seed, uint32_t member,
                                            enum pbt_purpose purpose, uint64_t step,
                                            uint64_t n);
uint64_t pbt_permutation_at(const struct pbt_permutation *permutation, uint64_t i);

#endif
