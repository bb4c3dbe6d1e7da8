/*
 * Weight gradients of a convolution: dw[o][i][ky][kx] = sum of g(o, y, x) times
 * x(i, y + ky, x + kx) over samples and positions.
 *
 * A tile keeps OC filters' taps (KT rows of the kernel) in registers, each lane its own
 * sum, over a chunk: a few rows of one block, small enough that x and dy of the chunk
 * stay in the first-level cache.  Between chunks the lane sums rest in scratch memory;
 * the 16 lanes are added once, at the end.  Under a fused pool the tile walks pooled
 * outputs: the four gradients of a window are made in registers from dy and the place
 * that won, and the (KT + 1) x (K + 1) pixels below serve 4 KT K multiply-adds, so
 * nothing but dy, one byte a lane and x is read.
 */
#include "backend/cpu/isa/isa.h"

enum { MAX_TILE = 25, MAX_GRADIENTS = 32, CHUNK_BYTES = 24 << 10 };

struct tile_at {
  const struct cpu_conv_call *call;
  int32_t o, i, ky, lane;  // first filter, input channel, kernel row, first lane
  int32_t block, oy, rows; // the chunk
  float *sum;              // [filter][ky][kx][16], at `lane`
};

/* Rows of x to a row of y. */
static int32_t pitch_of(const struct cpu_conv *conv) {
  return conv->stride * (conv->pool > 0 ? conv->pool : 1);
}

/* x and dy at the chunk's first row. */
static const float *x_of(const struct tile_at *at) {
  const struct cpu_conv *conv = at->call->conv;
  bool last = at->block == at->call->blocks - 1;
  const float *x = last ? at->call->x_tail : at->call->io->x + at->block * conv->x.block;
  int32_t y = at->oy * pitch_of(conv) - conv->pad + at->ky;
  return x + conv->x.origin + y * conv->x.row - conv->pad * CPU_LANES +
         at->i * conv->x.channel + at->lane;
}

static const float *dy_of(const struct tile_at *at) {
  const struct cpu_conv *conv = at->call->conv;
  return at->call->io->dy + at->block * conv->y.block + conv->y.origin +
         at->o * conv->y.channel + at->oy * conv->y.row + at->lane;
}

/* acc[j][ky][kx] += g[j][position] * x[s position + (ky, kx)], positions yt x xt. */
ALWAYS void step(const float *x, int64_t row, int k, int s, int kt, int oc, int yt,
                 int xt, const vf g[MAX_GRADIENTS], vf acc[MAX_TILE]) {
  UNROLL for (int r = 0; r < kt + s * (yt - 1); r++, x += row) {
    HIDE(x); // one pointer that walks, not one for each row and column
    UNROLL for (int c = 0; c < k + s * (xt - 1); c++) {
      vf v = load(x + c * CPU_LANES);
      UNROLL for (int p = 0; p < yt * xt; p++) {
        int ky = r - s * (p / xt), kx = c - s * (p % xt);
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
  const float *x = x_of(at), *dy = dy_of(at);
  const uint8_t *place = conv->place + (at->block * conv->oc + at->o) * plane +
                         (int64_t)at->oy * conv->ow * CPU_LANES + at->lane;
  for (int32_t y = 0; y < at->rows; y++) {
    for (int32_t ox = 0; ox < conv->ow; ox++, place += CPU_LANES) {
      /* With one row of taps the window's rows share no x: fewer registers one by one. */
      const int yt = kt == 1 ? 1 : 2;
      UNROLL for (int top = 0; top < 2; top += yt) {
        vf g[MAX_GRADIENTS];
        UNROLL for (int j = 0; j < oc; j++) {
          vf v = load(dy + y * conv->y.row + ox * CPU_LANES + j * conv->y.channel);
          vi won = load_bytes(place + j * plane);
          UNROLL for (int p = 0; p < 2 * yt; p++) {
            g[j * 2 * yt + p] = keep(equal(won, splat_int(2 * top + p)), v);
          }
        }
        step(x + (2 * y + top) * conv->x.row + 2 * ox * CPU_LANES, conv->x.row, k, 1, kt,
             oc, yt, 2, g, acc);
      }
    }
  }
}

/* xt positions of a row at a time, then one by one. */
ALWAYS void sum_rows(const struct tile_at *at, int k, int s, int kt, int oc, int xt,
                     vf acc[MAX_TILE]) {
  const struct cpu_conv *conv = at->call->conv;
  const float *x_row = x_of(at), *dy_row = dy_of(at);
  for (int32_t y = 0; y < at->rows; y++, dy_row += conv->y.row) {
    const float *x = x_row + s * y * conv->x.row, *d = dy_row;
    int32_t ox = 0;
    vf g[MAX_GRADIENTS];
    for (; ox + xt <= conv->ow; ox += xt, x += s * xt * CPU_LANES, d += xt * CPU_LANES) {
      UNROLL for (int p = 0; p < s * xt; p++) {
        fetch_soon(x + (int64_t)kt * conv->x.row + p * CPU_LANES);
      }
      UNROLL for (int t = 0; t < oc * xt; t++) {
        g[t] = load(d + t / xt * conv->y.channel + t % xt * CPU_LANES);
      }
      step(x, conv->x.row, k, s, kt, oc, 1, xt, g, acc);
    }
    for (; ox < conv->ow; ox++, x += s * CPU_LANES, d += CPU_LANES) {
      UNROLL for (int j = 0; j < oc; j++) {
        g[j] = load(d + j * conv->y.channel);
      }
      step(x, conv->x.row, k, s, kt, oc, 1, 1, g, acc);
    }
  }
}

ALWAYS void take(const struct tile_at *at, int n, vf acc[MAX_TILE]) {
  bool first = at->block == 0 && at->oy == 0;
  UNROLL for (int t = 0; t < n; t++) {
    acc[t] = first ? splat(0) : load(at->sum + t * CPU_LANES);
  }
}

ALWAYS void put(const struct tile_at *at, int n, const vf acc[MAX_TILE]) {
  UNROLL for (int t = 0; t < n; t++) {
    store(at->sum + t * CPU_LANES, acc[t]);
  }
}

typedef void tile_function(const struct tile_at *at);

#define ROW(K, S, KT, OC)                                                                \
  static void row_##K##_##S##_##OC(const struct tile_at *at) {                           \
    vf acc[MAX_TILE];                                                                    \
    take(at, OC *KT *K, acc);                                                            \
    sum_rows(at, K, S, KT, OC, 2, acc);                                                  \
    put(at, OC *KT *K, acc);                                                             \
  }
#define TILE(K, KT, OC)                                                                  \
  static void pooled_##K##_##OC(const struct tile_at *at) {                              \
    vf acc[MAX_TILE];                                                                    \
    take(at, OC *KT *K, acc);                                                            \
    sum_pooled(at, K, KT, OC, acc);                                                      \
    put(at, OC *KT *K, acc);                                                             \
  }                                                                                      \
  ROW(K, 1, KT, OC)                                                                      \
  ROW(K, 2, KT, OC)

struct choice {
  tile_function *pooled, *row[2]; // row: at stride 1 and 2
  int32_t rows, oc;               // kernel rows and filters of a tile
};

#define CHOICE(K, KT, OC)                                                                \
  { pooled_##K##_##OC, {row_##K##_1_##OC, row_##K##_2_##OC}, KT, OC }

/* [k / 2]: many filters at once, or one. */
#if WIDE
TILE(1, 1, 8)
TILE(1, 1, 1)
TILE(3, 3, 2)
TILE(3, 3, 1)
TILE(5, 5, 1)
static const struct choice tile_table[3][2] = {
    {CHOICE(1, 1, 8), CHOICE(1, 1, 1)},
    {CHOICE(3, 3, 2), CHOICE(3, 3, 1)},
    {CHOICE(5, 5, 1), CHOICE(5, 5, 1)},
};
#else
TILE(1, 1, 4)
TILE(1, 1, 1)
TILE(3, 1, 3)
TILE(3, 1, 1)
TILE(5, 1, 2)
TILE(5, 1, 1)
static const struct choice tile_table[3][2] = {
    {CHOICE(1, 1, 4), CHOICE(1, 1, 1)},
    {CHOICE(3, 1, 3), CHOICE(3, 1, 1)},
    {CHOICE(5, 1, 2), CHOICE(5, 1, 1)},
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
  return conv->tiled ? tiles_of_filters(conv) : conv->ic * conv->oc;
}

/* Lane sums of one unit: [input channel][kernel rows of a tile][filter][ky][kx][16], and
 * room for the whole vectors of sums that are read at the end. */
static int64_t unit_floats(const struct cpu_conv *conv) {
  int64_t filters = (int64_t)conv->ic * choose_tile(conv)->oc;
  return (filters * conv->k * conv->k + V) * CPU_LANES;
}

int64_t KERNEL(conv_dweight_floats)(const struct cpu_conv *conv) {
  return conv->tiled ? tiles_of_filters(conv) * unit_floats(conv) : 0;
}

/* Rows of y whose x and dy, one input channel and one tile's filters, fit a chunk. */
static int32_t chunk_rows(const struct cpu_conv *conv, const struct choice *tile) {
  int64_t x = conv->x.row * pitch_of(conv);
  int64_t row = (x + conv->y.row * tile->oc) * (int64_t)sizeof(float);
  int32_t rows = (int32_t)(CHUNK_BYTES / row);
  int32_t chunks = (conv->oh + rows) / (rows + 1);
  return (conv->oh + chunks - 1) / chunks;
}

/* The first filter of a unit's tile: the last tile is moved back to fit. */
static int32_t first_filter(const struct cpu_conv *conv, const struct choice *tile,
                            int32_t unit) {
  int32_t first = unit * tile->oc, last = conv->oc - tile->oc;
  return first < last ? first : last;
}

static void add_chunk(const struct choice *tile, struct tile_at at, float *sum) {
  const struct cpu_conv *conv = at.call->conv;
  int64_t part = (int64_t)tile->oc * tile->rows * conv->k * CPU_LANES;
  for (at.i = 0; at.i < conv->ic; at.i++) {
    for (at.ky = 0; at.ky < conv->k; at.ky += tile->rows, sum += part) {
      for (at.lane = 0; at.lane < CPU_LANES; at.lane += V) {
        at.sum = sum + at.lane;
        (conv->pool > 0 ? tile->pooled : tile->row[conv->stride - 1])(&at);
      }
    }
  }
}

/* Adds the lanes of a unit; filters that belong to the unit before are left to it. */
static void finish_unit(const struct cpu_conv_call *call, const struct choice *tile,
                        int32_t unit, const float *sum) {
  const struct cpu_conv *conv = call->conv;
  int32_t o = first_filter(conv, tile, unit), taps = tile->rows * conv->k;
  int64_t filter = (int64_t)conv->k * conv->k;
  for (int32_t i = 0; i < conv->ic; i++) {
    for (int32_t ky = 0; ky < conv->k; ky += tile->rows) {
      for (int32_t j = 0; j < tile->oc; j++, sum += taps * CPU_LANES) {
        if (o + j >= unit * tile->oc) {
          sum_lanes(sum, taps,
                    call->io->dweight + ((int64_t)(o + j) * conv->ic + i) * filter +
                        ky * conv->k);
        }
      }
    }
  }
}

void KERNEL(conv_dweight)(const void *context, int32_t begin, int32_t end,
                          int32_t thread) {
  const struct cpu_conv_call *call = context;
  const struct cpu_conv *conv = call->conv;
  if (!conv->tiled) {
    KERNEL(conv_dweight_plain)(context, begin, end, thread);
    return;
  }
  const struct choice *tile = choose_tile(conv);
  int64_t floats = unit_floats(conv);
  int32_t rows = chunk_rows(conv, tile);
  struct tile_at at = {.call = call};
  for (at.block = 0; at.block < call->blocks; at.block++) {
    for (at.oy = 0; at.oy < conv->oh; at.oy += rows) {
      at.rows = at.oy + rows <= conv->oh ? rows : conv->oh - at.oy;
      for (int32_t unit = begin; unit < end; unit++) {
        at.o = first_filter(conv, tile, unit);
        add_chunk(tile, at, call->lane_sums + unit * floats);
      }
    }
  }
  for (int32_t unit = begin; unit < end; unit++) {
    finish_unit(call, tile, unit, call->lane_sums + unit * floats);
  }
}
