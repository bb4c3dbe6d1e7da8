/*
 * Dropout: V samples draw four words each at a time, by Philox4x32-10 (base/rng.h) in
 * lanes, for four values that follow each other in c, y, x order.
 */
#include "backend/cpu/isa/isa.h"

#include "base/rng.h" // PBT_RNG_DROPOUT

typedef uint32_t vu __attribute__((vector_size(4 * V)));
typedef uint64_t vl __attribute__((vector_size(4 * V))); // every other word, widened

/* High and low words of a * b in each lane. */
ALWAYS void multiply(vu a, uint32_t b, vu *high, vu *low) {
  vl even = ((vl)a & 0xffffffffU) * b, odd = ((vl)a >> 32) * b;
  *low = (vu)((even & 0xffffffffU) | odd << 32);
  *high = (vu)(even >> 32 | (odd & ~(vl){0} << 32));
}

/* Word j of blocks block[lane] of the stream, into word[j]. */
ALWAYS void draw(const struct pbt_step *step, vu block, vu word[4]) {
  uint64_t at = (uint64_t)step->step;
  uint32_t key[2] = {(uint32_t)step->seed, (uint32_t)(step->seed >> 32)};
  vu zero = {0};
  vu c[4] = {block, zero + (uint32_t)at,
             zero + ((uint32_t)(at >> 32 << 16) | PBT_RNG_DROPOUT), zero + step->member};
  for (int round = 0; round < 10; round++) {
    vu high[2], low[2];
    multiply(c[0], 0xD2511F53U, &high[0], &low[0]);
    multiply(c[2], 0xCD9E8D57U, &high[1], &low[1]);
    vu next[4] = {high[1] ^ c[1] ^ key[0], low[1], high[0] ^ c[3] ^ key[1], low[0]};
    for (int j = 0; j < 4; j++) {
      c[j] = next[j];
    }
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  for (int j = 0; j < 4; j++) {
    word[j] = c[j];
  }
}

/* The numbers of a call. */
struct mask {
  bool on;
  uint32_t first; // block of quad 0 of lane 0
  vi threshold;   // words below it drop; both with the top bit flipped
  vf scale;
};

/* A quad's four masks of the lanes from g on. */
ALWAYS void masks(const struct cpu_dropout_call *call, const struct mask *mask,
                  uint32_t quad, int32_t g, vm drop[4]) {
  vu lane;
  UNROLL for (uint32_t l = 0; l < V; l++) {
    lane[l] = l;
  }
  vu word[4];
  draw(call->step, (lane + (uint32_t)g) * call->dropout->quads + mask->first + quad,
       word);
  UNROLL for (int j = 0; j < 4; j++) {
    drop[j] = below((vi)(word[j] ^ 0x80000000U), mask->threshold);
  }
}

static void put(const struct cpu_dropout_call *call, float *to, vf v) {
  store(to, call->add ? v + load(to) : v);
}

/* One lane group of one block; from and to at its first value. */
static void block_group(const struct cpu_dropout_call *call, const struct mask *mask,
                        int32_t g, const float *from, float *to) {
  const struct cpu_dropout *d = call->dropout;
  const struct cpu_stride *in = call->from_stride, *out = call->to_stride;
  vm drop[4];
  uint32_t p = 0;
  for (int32_t c = 0; c < d->c; c++) {
    for (int32_t y = 0; y < d->h; y++) {
      const float *a = from + c * in->channel + y * in->row;
      float *b = to + c * out->channel + y * out->row;
      for (int32_t x = 0; x < d->w; x++, p++) {
        vf v = load(a + x * CPU_LANES);
        if (mask->on) {
          if (p % 4 == 0) {
            masks(call, mask, p / 4, g, drop);
          }
          v = choose(drop[p % 4], splat(0), v * mask->scale);
        }
        put(call, b + x * CPU_LANES, v);
      }
    }
  }
}

void KERNEL(dropout)(const void *context, int32_t begin, int32_t end, int32_t thread) {
  (void)thread;
  const struct cpu_dropout_call *call = context;
  const struct cpu_dropout *d = call->dropout;
  float rate = call->step != NULL ? call->step->hyper.dropout : 0;
  uint32_t threshold = (uint32_t)((double)rate * 0x1p32);
  struct mask mask = {.on = rate > 0,
                      .threshold = splat_int((int32_t)(threshold ^ 0x80000000U)),
                      .scale = splat(1.0F / (1.0F - rate))};
  for (int32_t block = begin; block < end; block++) {
    mask.first = d->stream * PBT_DROPOUT_BLOCKS + (uint32_t)block * CPU_LANES * d->quads;
    const float *from =
        call->from + block * call->from_stride->block + call->from_stride->origin;
    float *to = call->to + block * call->to_stride->block + call->to_stride->origin;
    for (int32_t g = 0; g < CPU_LANES; g += V) {
      block_group(call, &mask, g, from + g, to + g);
    }
  }
}
