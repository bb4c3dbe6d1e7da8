/*
 * Weight gradients of a convolution: dw[o][i][ky][kx] = sum of g(o, y, x) times
 * x(i, y + ky, x + kx) over samples and positions.
 *
 * A tile keeps OC filters' taps (KT rows of the kernel) in registers over every block and
 * position, each lane its own sum, and adds the 16 lanes once at the end.  Under a fused
 * pool it walks pooled outputs: the four gradients of a window are made in registers from
 * dy and the place that won, and the (KT + 1) x (K + 1) pixels below serve 4 KT K
 * multiply-adds, so nothing but dy, one byte a lane and x is read.
 */
#include "backend/cpu/isa/isa.h"

/* lane_sum has room for whole groups of 16 sums beyond any tile's first. */
enum { MAX_TILE = 25, MAX_GRADIENTS = 32, MAX_SUMS = 48 };

struct tile_at {
  const struct cpu_conv_call *call;
  int32_t o, i, ky, lane; // first channel, input channel, kernel row, first lane
};

static const float *x_of(const struct tile_at *at, int32_t block) {
  const struct cpu_conv *conv = at->call->conv;
  bool last = block == at->call->blocks - 1;
  const float *x = last ? at->call->x_tail : at->call->io->x + block * conv->x.block;
  return x + conv->x.origin - conv->pad * (conv->x.row + CPU_LANES) +
         at->i * conv->x.channel + at->ky * conv->x.row + at->lane;
}

/* acc[j][ky][kx] += g[j][position] * x[position + (ky, kx)], positions yt x xt. */
ALWAYS void step(const float *x, int64_t row, int k, int kt, int oc, int yt, int xt,
                 const vf g[MAX_GRADIENTS], vf acc[MAX_TILE]) {
  UNROLL for (int r = 0; r < kt + yt - 1; r++) {
    UNROLL for (int c = 0; c < k + xt - 1; c++) {
      vf v = load(x + r * row + c * CPU_LANES);
      UNROLL for (int p = 0; p < yt * xt; p++) {
        int ky = r - p / xt, kx = c - p % xt;
        if (ky >= 0 && ky < kt && kx >= 0 && kx < k) {
          UNROLL for (int j = 0; j < oc; j++) {
            int t = (j * kt + ky) * k + kx;
            acc[t] = fma_(g[j * yt * xt + p], v, acc[t]);
          }
        }
      }
    }
  }
}

ALWAYS void sum_pooled(const struct tile_at *at, int k, int kt, int oc,
                       vf acc[MAX_TILE]) {
  const struct cpu_conv *conv = at->call->conv;
  int64_t plane = (int64_t)conv->oh * conv->ow * CPU_LANES;
  for (int32_t block = 0; block < at->call->blocks; block++) {
    const float *x = x_of(at, block);
    const float *dy = at->call->io->dy + block * conv->y.block + conv->y.origin +
                      at->o * conv->y.channel + at->lane;
    const uint8_t *place = conv->place + (block * conv->oc + at->o) * plane + at->lane;
    for (int32_t oy = 0; oy < conv->oh; oy++) {
      for (int32_t ox = 0; ox < conv->ow; ox++) {
        vf g[MAX_GRADIENTS];
        UNROLL for (int j = 0; j < oc; j++) {
          vf v = load(dy + oy * conv->y.row + ox * CPU_LANES + j * conv->y.channel);
          vi won = load_bytes(place + j * plane);
          UNROLL for (int p = 0; p < 4; p++) {
            g[j * 4 + p] = keep(equal(won, splat_int(p)), v);
          }
        }
        step(x + 2 * (oy * conv->x.row + ox * CPU_LANES), conv->x.row, k, kt, oc, 2, 2, g,
             acc);
        place += CPU_LANES;
      }
    }
  }
}

/* xt positions of a row at a time, then one by one. */
ALWAYS void sum_rows(const struct tile_at *at, int k, int kt, int oc, int xt,
                     vf acc[MAX_TILE]) {
  const struct cpu_conv *conv = at->call->conv;
  for (int32_t block = 0; block < at->call->blocks; block++) {
    const float *xb = x_of(at, block);
    const float *dy = at->call->io->dy + block * conv->y.block + conv->y.origin +
                      at->o * conv->y.channel + at->lane;
    for (int32_t oy = 0; oy < conv->oh; oy++) {
      const float *x = xb + oy * conv->x.row, *d = dy + oy * conv->y.row;
      int32_t ox = 0;
      vf g[MAX_GRADIENTS];
      for (; ox + xt <= conv->ow; ox += xt, x += xt * CPU_LANES, d += xt * CPU_LANES) {
        UNROLL for (int t = 0; t < oc * xt; t++) {
          g[t] = load(d + t / xt * conv->y.channel + t % xt * CPU_LANES);
        }
        step(x, conv->x.row, k, kt, oc, 1, xt, g, acc);
      }
      for (; ox < conv->ow; ox++, x += CPU_LANES, d += CPU_LANES) {
        UNROLL for (int j = 0; j < oc; j++) {
          g[j] = load(d + j * conv->y.channel);
        }
        step(x, conv->x.row, k, kt, oc, 1, 1, g, acc);
      }
    }
  }
}

/* lane_sum[j][ky][kx][16] */
typedef void tile_function(const struct tile_at *at, float *lane_sum);

#define TILE(K, KT, OC)                                                                  \
  static void pooled_##K##_##OC(const struct tile_at *at, float *lane_sum) {             \
    vf acc[MAX_TILE];                                                                    \
    UNROLL for (int t = 0; t < OC * KT * K; t++) {                                       \
      acc[t] = splat(0);                                                                 \
    }                                                                                    \
    sum_pooled(at, K, KT, OC, acc);                                                      \
    UNROLL for (int t = 0; t < OC * KT * K; t++) {                                       \
      store(lane_sum + t * CPU_LANES + at->lane, acc[t]);                                \
    }                                                                                    \
  }                                                                                      \
  static void row_##K##_##OC(const struct tile_at *at, float *lane_sum) {                \
    vf acc[MAX_TILE];                                                                    \
    UNROLL for (int t = 0; t < OC * KT * K; t++) {                                       \
      acc[t] = splat(0);                                                                 \
    }                                                                                    \
    sum_rows(at, K, KT, OC, 2, acc);                                                     \
    UNROLL for (int t = 0; t < OC * KT * K; t++) {                                       \
      store(lane_sum + t * CPU_LANES + at->lane, acc[t]);                                \
    }                                                                                    \
  }

struct choice {
  tile_function *pooled, *row;
  int32_t rows, oc; // kernel rows and filters of a tile
};

/* [k / 2]: many filters at once, or one. */
#if WIDE
TILE(1, 1, 8)
TILE(1, 1, 1)
TILE(3, 3, 2)
TILE(3, 3, 1) TILE(5, 5, 1) static const struct choice tile_table[3][2] = {
    {{pooled_1_8, row_1_8, 1, 8}, {pooled_1_1, row_1_1, 1, 1}},
    {{pooled_3_2, row_3_2, 3, 2}, {pooled_3_1, row_3_1, 3, 1}},
    {{pooled_5_1, row_5_1, 5, 1}, {pooled_5_1, row_5_1, 5, 1}},
};
#else
TILE(1, 1, 4)
TILE(1, 1, 1)
TILE(3, 1, 3)
TILE(3, 1, 1) TILE(5, 1, 2) TILE(5, 1, 1) static const struct choice tile_table[3][2] = {
    {{pooled_1_4, row_1_4, 1, 4}, {pooled_1_1, row_1_1, 1, 1}},
    {{pooled_3_3, row_3_3, 1, 3}, {pooled_3_1, row_3_1, 1, 1}},
    {{pooled_5_2, row_5_2, 1, 2}, {pooled_5_1, row_5_1, 1, 1}},
};
#endif

static const struct choice *choose_tile(const struct cpu_conv *conv) {
  const struct choice *choice = tile_table[conv->k / 2];
  return conv->oc >= choice->oc ? choice : choice + 1;
}

static int32_t tiles_of_filters(const struct cpu_conv *conv) {
  int32_t oc = choose_tile(conv)->oc;
  return (conv->oc + oc - 1) / oc;
}

int32_t KERNEL(conv_dweight_units)(const struct cpu_conv *conv) {
  return conv->ic * (conv->tiled ? tiles_of_filters(conv) : conv->oc);
}

/* Filters `first` .. of one input channel; the tile may begin before `first`. */
static void dweight_tile(const struct cpu_conv_call *call, const struct choice *tile,
                         int32_t first, int32_t i) {
  const struct cpu_conv *conv = call->conv;
  int32_t k = conv->k, taps = tile->rows * k;
  int32_t o = first + tile->oc <= conv->oc ? first : conv->oc - tile->oc;
  _Alignas(64) float lane_sum[MAX_SUMS * CPU_LANES];
  for (int32_t ky = 0; ky < k; ky += tile->rows) {
    for (int32_t lane = 0; lane < CPU_LANES; lane += V) {
      struct tile_at at = {call, o, i, ky, lane};
      (conv->pool > 0 ? tile->pooled : tile->row)(&at, lane_sum);
    }
    for (int32_t j = first - o; j < tile->oc; j++) {
      float *to = call->io->dweight + ((int64_t)(o + j) * conv->ic + i) * k * k + ky * k;
      sum_lanes(lane_sum + j * taps * CPU_LANES, taps, to);
    }
  }
}

void KERNEL(conv_dweight)(const void *context, int32_t begin, int32_t end,
                          int32_t thread) {
  const struct cpu_conv_call *call = context;
  if (!call->conv->tiled) {
    KERNEL(conv_dweight_plain)(context, begin, end, thread);
    return;
  }
  const struct choice *tile = choose_tile(call->conv);
  int32_t tiles = tiles_of_filters(call->conv);
  for (int32_t unit = begin; unit < end; unit++) {
    dweight_tile(call, tile, unit % tiles * tile->oc, unit / tiles);
  }
}
