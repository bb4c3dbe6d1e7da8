/*
 * y = pool(relu(conv(x) + b)): a register tile holds OC output channels by YT x XT
 * positions of one lane group, over all input channels and taps, so that the pool happens
 * in registers and the unpooled result is never stored.  Tiles that would hang over the
 * last channel or column are moved back instead: they compute some values twice, alike.
 */
#include "backend/cpu/isa/isa.h"

enum { MAX_TILE = 24 };

/* Where one tile reads and writes. */
struct place_of_tile {
  const float *x;      // first tap of the first position
  const float *weight; // of the tile's first channel
  const float *bias;   // of the tile's first channel, or zeros
  float *y;
  uint8_t *place;
};

static const float no_bias[8];

ALWAYS void accumulate(const struct cpu_conv *conv, const struct place_of_tile *at, int k,
                       int s, int oc, int yt, int xt, vf acc[MAX_TILE]) {
  int64_t row = conv->x.row, channel = conv->x.channel;
  int64_t w_step = (int64_t)conv->ic * k * k;
  UNROLL for (int t = 0; t < oc * yt * xt; t++) {
    acc[t] = splat(at->bias[t / (yt * xt)]);
  }
  const float *xc = at->x, *w = at->weight;
  for (int32_t i = 0; i < conv->ic; i++, xc += channel) {
    UNROLL for (int p = 0; p < xt; p++) {
      fetch_later(xc + (int64_t)k * row + s * p * CPU_LANES);
    }
    const float *xr = xc;
    for (int ky = 0; ky < k; ky++, xr += row, w += k) {
      UNROLL for (int kx = 0; kx < k; kx++) {
        vf v[4];
        UNROLL for (int p = 0; p < yt * xt; p++) {
          v[p] = load(xr + p / xt * row + (kx + s * (p % xt)) * CPU_LANES);
        }
        UNROLL for (int j = 0; j < oc; j++) {
          vf tap = splat(w[j * w_step + kx]);
          UNROLL for (int p = 0; p < yt * xt; p++) {
            acc[j * yt * xt + p] = fma_(tap, v[p], acc[j * yt * xt + p]);
          }
        }
      }
    }
  }
}

/* A NaN wins a comparison, so it is not hidden by the pool or the ReLU. */
ALWAYS void finish_pooled(const struct cpu_conv *conv, const struct place_of_tile *at,
                          int oc, const vf acc[MAX_TILE]) {
  int64_t place_step = (int64_t)conv->oh * conv->ow * CPU_LANES;
  UNROLL for (int j = 0; j < oc; j++) {
    vf best = acc[j * 4];
    vi won = splat_int(0);
    UNROLL for (int p = 1; p < 4; p++) {
      vm stays = less_equal(acc[j * 4 + p], best);
      best = choose(stays, best, acc[j * 4 + p]);
      won = choose_int(stays, won, splat_int(p));
    }
    if (conv->relu) {
      vm off = less_equal(best, splat(0));
      best = choose(off, splat(0), best);
      won = choose_int(off, splat_int(CPU_PLACE_NONE), won);
    }
    store(at->y + j * conv->y.channel, best);
    store_bytes(at->place + j * place_step, won);
  }
}

ALWAYS void finish_row(const struct cpu_conv *conv, const struct place_of_tile *at,
                       int oc, int xt, const vf acc[MAX_TILE]) {
  UNROLL for (int t = 0; t < oc * xt; t++) {
    vf v = acc[t];
    if (conv->relu) {
      v = choose(less_equal(v, splat(0)), splat(0), v);
    }
    store(at->y + t / xt * conv->y.channel + t % xt * CPU_LANES, v);
  }
}

typedef void tile_function(const struct cpu_conv *conv, const struct place_of_tile *at);

#define POOLED(K, OC)                                                                    \
  static void pooled_##K##_##OC(const struct cpu_conv *conv,                             \
                                const struct place_of_tile *at) {                        \
    vf acc[MAX_TILE];                                                                    \
    accumulate(conv, at, K, 1, OC, 2, 2, acc);                                           \
    finish_pooled(conv, at, OC, acc);                                                    \
  }
#define ROW(K, S, OC, XT)                                                                \
  static void row_##K##_##S##_##OC##_##XT(const struct cpu_conv *conv,                   \
                                          const struct place_of_tile *at) {              \
    vf acc[MAX_TILE];                                                                    \
    UNROLL for (int t = 0; t < OC * XT; t++) {                                           \
      fetch_to_write(at->y + t / XT * conv->y.channel + t % XT * CPU_LANES);             \
    }                                                                                    \
    accumulate(conv, at, K, S, OC, 1, XT, acc);                                          \
    finish_row(conv, at, OC, XT, acc);                                                   \
  }

/* Channels of a tile, by preference. */
#if WIDE
#define OC_A 6
#define OC_B 4
#else
#define OC_A 3
#define OC_B 2
#endif
#define ROWS(K, S, OC) ROW(K, S, OC, 4) ROW(K, S, OC, 1)
#define ALL(K, OC) POOLED(K, OC) ROWS(K, 1, OC) ROWS(K, 2, OC)
#define TILES(K, A, B) ALL(K, A) ALL(K, B) ALL(K, 1)
#define NAMES(K, OC)                                                                     \
  {                                                                                      \
    pooled_##K##_##OC, row_##K##_1_##OC##_4, row_##K##_1_##OC##_1, row_##K##_2_##OC##_4, \
        row_##K##_2_##OC##_1                                                             \
  }
#define TABLE(K, A, B)                                                                   \
  { NAMES(K, A), NAMES(K, B), NAMES(K, 1) }

/* [k / 2][OC_A, OC_B, 1][pooled; 4 or 1 of a row at stride 1; the same at stride 2] */
#if WIDE
TILES(1, 6, 4)
TILES(3, 6, 4)
TILES(5, 6, 4)
static tile_function *const tile_table[3][3][5] = {TABLE(1, 6, 4), TABLE(3, 6, 4),
                                                   TABLE(5, 6, 4)};
#else
TILES(1, 3, 2)
TILES(3, 3, 2)
TILES(5, 3, 2)
static tile_function *const tile_table[3][3][5] = {TABLE(1, 3, 2), TABLE(3, 3, 2),
                                                   TABLE(5, 3, 2)};
#endif

struct choice {
  tile_function *run;
  int32_t oc, step; // channels and outputs of a row that one tile makes
};

static struct choice choose_tile(const struct cpu_conv *conv) {
  /* With 16 registers a tile of 3 channels hides the latency better than one of 2, which
   * is worth some channels computed twice; not where it spills. */
  bool large = conv->oc % OC_A == 0 || (!WIDE && conv->k < 5 && conv->oc >= 16);
  int a = large ? 0 : conv->oc >= OC_B ? 1 : 2;
  bool four = conv->pool == 0 && conv->ow >= 4;
  int b = conv->pool > 0 ? 0 : 2 * conv->stride - four;
  return (struct choice){tile_table[conv->k / 2][a][b],
                         a == 0   ? OC_A
                         : a == 1 ? OC_B
                                  : 1,
                         four ? 4 : 1};
}

static void forward_row(const struct cpu_conv_call *call, const struct choice *tile,
                        int32_t block, int32_t oy) {
  const struct cpu_conv *conv = call->conv;
  const struct pbt_layer_io *io = call->io;
  int32_t pitch = conv->stride * (conv->pool > 0 ? conv->pool : 1);
  int64_t filter = (int64_t)conv->ic * conv->k * conv->k;
  const float *x = io->x + block * conv->x.block + conv->x.origin -
                   conv->pad * (conv->x.row + CPU_LANES) + oy * pitch * conv->x.row;
  float *y = io->y + block * conv->y.block + conv->y.origin + oy * conv->y.row;
  int64_t plane = (int64_t)conv->oh * conv->ow;
  int64_t first = block * plane * conv->oc + (int64_t)oy * conv->ow;
  for (int32_t g = 0; g < CPU_LANES; g += V) {
    for (int32_t px = 0; px < conv->ow; px += tile->step) {
      int32_t ox = px + tile->step <= conv->ow ? px : conv->ow - tile->step;
      for (int32_t pc = 0; pc < conv->oc; pc += tile->oc) {
        int32_t o = pc + tile->oc <= conv->oc ? pc : conv->oc - tile->oc;
        struct place_of_tile at = {
            .x = x + ox * pitch * CPU_LANES + g,
            .weight = io->weight + o * filter,
            .bias = io->bias != NULL ? io->bias + o : no_bias,
            .y = y + o * conv->y.channel + ox * CPU_LANES + g,
        };
        if (conv->pool > 0) {
          at.place = conv->place + (first + o * plane + ox) * CPU_LANES + g;
        }
        tile->run(conv, &at);
      }
    }
  }
}

void KERNEL(conv_forward)(const void *context, int32_t begin, int32_t end,
                          int32_t thread) {
  const struct cpu_conv_call *call = context;
  if (!call->conv->tiled) {
    KERNEL(conv_forward_plain)(context, begin, end, thread);
    return;
  }
  struct choice tile = choose_tile(call->conv);
  for (int32_t unit = begin; unit < end; unit++) {
    forward_row(call, &tile, unit / call->conv->oh, unit % call->conv->oh);
  }
}
