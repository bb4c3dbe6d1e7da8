/*
 * dx(i, y, x) = sum over o, ky, kx of w[o][i][ky][kx] g(o, y + pad - ky, x + pad - kx):
 * the forward tile with filters and channels exchanged.  Rows of taps that fall outside g
 * are left out; columns that do are multiplied by g's halo, or, where the plan says
 * `trim` (5x5 without padding, where that would nearly double the work), the k - 1
 * columns at both edges form a tile of their own with exactly their taps.
 */
#include "backend/cpu/isa/isa.h"

enum { MAX_TILE = 24 };

struct tile_at {
  const float *g;      // channel 0, the row and column of dx's first position
  const float *weight; // filter 0, the tile's first input channel
  float *dx;
  int32_t ky_first, ky_last;
  int32_t old_channels, old_columns; // of the tile, written by the tile before
  bool add;                          // to what dx holds
};

ALWAYS void put(const struct tile_at *at, int64_t to, vf v) {
  store(at->dx + to, at->add ? v + load(at->dx + to) : v);
}

/* xt positions side by side, all taps. */
ALWAYS void middle(const struct cpu_conv *conv, const struct tile_at *at, int k, int ic,
                   int xt) {
  vf acc[MAX_TILE];
  UNROLL for (int t = 0; t < ic * xt; t++) {
    acc[t] = splat(0);
  }
  UNROLL for (int t = 0; t < ic * xt; t++) {
    fetch_to_write(at->dx + t / xt * conv->x.channel + t % xt * CPU_LANES);
  }
  int64_t row = conv->g.row, filter = (int64_t)conv->ic * k * k;
  const float *gc = at->g, *wc = at->weight;
  for (int32_t o = 0; o < conv->oc; o++, gc += conv->g.channel, wc += filter) {
    UNROLL for (int p = 0; p < xt; p++) {
      fetch_later(gc + row + p * CPU_LANES); // for the next row of dx
    }
    for (int32_t ky = at->ky_first; ky <= at->ky_last; ky++) {
      const float *g = gc - ky * row, *w = wc + ky * k;
      UNROLL for (int kx = 0; kx < k; kx++) {
        if (!WIDE && k > 1 && (ic + 1) * xt + k > 15) {
          HIDE(g); // there are no registers to hold xt + k - 1 vectors of g
        }
        UNROLL for (int j = 0; j < ic; j++) {
          vf tap = splat(w[j * k * k + kx]);
          UNROLL for (int p = 0; p < xt; p++) {
            acc[j * xt + p] = fma_(tap, load(g + (p - kx) * CPU_LANES), acc[j * xt + p]);
          }
        }
      }
    }
  }
  UNROLL for (int t = 0; t < ic * xt; t++) {
    if (t / xt >= at->old_channels && t % xt >= at->old_columns) {
      put(at, t / xt * conv->x.channel + t % xt * CPU_LANES, acc[t]);
    }
  }
}

/* Columns 0 .. 3 with taps kx <= x, and cw + 0 .. 3 with taps kx > x - cw; no padding. */
ALWAYS void edges(const struct cpu_conv *conv, const struct tile_at *at, int ic) {
  enum { K = 5, E = K - 1 };
  vf acc[MAX_TILE];
  UNROLL for (int t = 0; t < ic * 2 * E; t++) {
    acc[t] = splat(0);
  }
  int64_t row = conv->g.row, filter = (int64_t)conv->ic * K * K;
  int64_t right = (int64_t)conv->cw * CPU_LANES;
  const float *gc = at->g, *wc = at->weight;
  for (int32_t o = 0; o < conv->oc; o++, gc += conv->g.channel, wc += filter) {
    for (int32_t ky = at->ky_first; ky <= at->ky_last; ky++) {
      const float *g = gc - ky * row, *w = wc + ky * K;
      UNROLL for (int kx = 0; kx < K; kx++) {
        UNROLL for (int j = 0; j < ic; j++) {
          vf tap = splat(w[j * K * K + kx]);
          UNROLL for (int p = 0; p < E; p++) {
            vf *left = &acc[j * 2 * E + p], *last = left + E;
            if (kx <= p) {
              *left = fma_(tap, load(g + (p - kx) * CPU_LANES), *left);
            } else {
              *last = fma_(tap, load(g + right + (p - kx) * CPU_LANES), *last);
            }
          }
        }
      }
    }
  }
  UNROLL for (int t = 0; t < ic * 2 * E; t++) {
    int p = t % (2 * E);
    int64_t column = p < E ? p * CPU_LANES : right + (p - E) * CPU_LANES;
    if (t / (2 * E) >= at->old_channels) {
      put(at, t / (2 * E) * conv->x.channel + column, acc[t]);
    }
  }
}

typedef void tile_function(const struct cpu_conv *conv, const struct tile_at *at);

#define MIDDLE(K, IC, XT)                                                                \
  static void middle_##K##_##IC##_##XT(const struct cpu_conv *conv,                      \
                                       const struct tile_at *at) {                       \
    middle(conv, at, K, IC, XT);                                                         \
  }
#define EDGES(IC)                                                                        \
  static void edges_##IC(const struct cpu_conv *conv, const struct tile_at *at) {        \
    edges(conv, at, IC);                                                                 \
  }

struct choice {
  int32_t ic, xt;
  tile_function *run[3]; // by k / 2
};

#define CHOICE(IC, XT)                                                                   \
  {                                                                                      \
    IC, XT, {                                                                            \
      middle_1_##IC##_##XT, middle_3_##IC##_##XT, middle_5_##IC##_##XT                   \
    }                                                                                    \
  }
#define MIDDLES(IC, XT) MIDDLE(1, IC, XT) MIDDLE(3, IC, XT) MIDDLE(5, IC, XT)

/* The first whose channels and columns divide the plane's, else the first that fits;
 * `edges` likewise.  Each list ends with tiles that always fit. */
#if WIDE
MIDDLES(3, 6)
MIDDLES(4, 4)
MIDDLES(3, 4)
MIDDLES(1, 4)
MIDDLES(4, 1)
MIDDLES(1, 1)
static const struct choice middle_table[] = {CHOICE(3, 6), CHOICE(4, 4), CHOICE(3, 4),
                                             CHOICE(1, 4), CHOICE(4, 1), CHOICE(1, 1)};
EDGES(3)
EDGES(1) static const struct choice edge_table[] = {{3, 8, {edges_3}}, {1, 8, {edges_1}}};
#else
MIDDLES(2, 6)
MIDDLES(3, 4)
MIDDLES(2, 4)
MIDDLES(1, 4)
MIDDLES(3, 1)
MIDDLES(1, 1)
static const struct choice middle_table[] = {CHOICE(2, 6), CHOICE(3, 4), CHOICE(2, 4),
                                             CHOICE(1, 4), CHOICE(3, 1), CHOICE(1, 1)};
EDGES(1)
static const struct choice edge_table[] = {{1, 8, {edges_1}}};
#endif

enum {
  MIDDLE_TILES = sizeof middle_table / sizeof *middle_table,
  EDGE_TILES = sizeof edge_table / sizeof *edge_table
};

/* With 16 registers a tile of 3 channels hides the latency and one of 2 does not: worth
 * some channels computed twice. */
static bool divides(int32_t tile, int32_t ic) {
  return ic % tile == 0 || (!WIDE && ic >= 16);
}

static const struct choice *choose_middle(int32_t ic, int32_t columns) {
  for (int i = 0; i < MIDDLE_TILES; i++) {
    if (divides(middle_table[i].ic, ic) && columns % middle_table[i].xt == 0) {
      if (middle_table[i].xt > 1 || columns < 4) {
        return &middle_table[i];
      }
    }
  }
  for (int i = 0; i < MIDDLE_TILES; i++) {
    if (ic >= middle_table[i].ic && columns >= middle_table[i].xt) {
      return &middle_table[i];
    }
  }
  return &middle_table[MIDDLE_TILES - 1];
}

static const struct choice *choose_edges(int32_t ic) {
  for (int i = 0; i < EDGE_TILES; i++) {
    if (ic >= edge_table[i].ic) {
      return &edge_table[i];
    }
  }
  return &edge_table[EDGE_TILES - 1];
}

/* One row of dx, all channels, columns begin .. end - 1 by middle tiles. */
static void middle_row(const struct cpu_conv *conv, const struct tile_at *row,
                       int32_t begin, int32_t end) {
  if (end <= begin) {
    return;
  }
  const struct choice *tile = choose_middle(conv->ic, end - begin);
  int64_t taps = (int64_t)conv->k * conv->k;
  for (int32_t px = begin; px < end; px += tile->xt) {
    int32_t x = px + tile->xt <= end ? px : end - tile->xt;
    for (int32_t pc = 0; pc < conv->ic; pc += tile->ic) {
      int32_t i = pc + tile->ic <= conv->ic ? pc : conv->ic - tile->ic;
      struct tile_at at = *row;
      at.g += (x + conv->pad) * CPU_LANES;
      at.dx += i * conv->x.channel + x * CPU_LANES;
      at.weight += i * taps;
      at.old_channels = pc - i;
      at.old_columns = px - x;
      tile->run[conv->k / 2](conv, &at);
    }
  }
}

static void edge_row(const struct cpu_conv *conv, const struct tile_at *row) {
  const struct choice *tile = choose_edges(conv->ic);
  int64_t taps = (int64_t)conv->k * conv->k;
  for (int32_t pc = 0; pc < conv->ic; pc += tile->ic) {
    int32_t i = pc + tile->ic <= conv->ic ? pc : conv->ic - tile->ic;
    struct tile_at at = *row;
    at.dx += i * conv->x.channel;
    at.weight += i * taps;
    at.old_channels = pc - i;
    tile->run[0](conv, &at);
  }
}

static void dx_rows(const struct cpu_conv_call *call, const float *g, float *dx,
                    int32_t first, int32_t end) {
  const struct cpu_conv *conv = call->conv;
  int32_t edge = conv->trim ? conv->k - 1 : 0;
  for (int32_t lane = 0; lane < CPU_LANES; lane += V) {
    for (int32_t y = first; y < end; y++) {
      int32_t gy = y + conv->pad;
      struct tile_at row = {
          .g = g + conv->g.origin + gy * conv->g.row + lane,
          .weight = call->io->weight,
          .dx = dx + conv->x.origin + y * conv->x.row + lane,
          .ky_first = gy < conv->ch ? 0 : gy - conv->ch + 1,
          .ky_last = gy < conv->k - 1 ? gy : conv->k - 1,
          .add = call->io->add_dx,
      };
      middle_row(conv, &row, edge, conv->iw - edge);
      if (edge > 0) {
        edge_row(conv, &row);
      }
    }
  }
}

void KERNEL(conv_dx)(const void *context, int32_t begin, int32_t end, int32_t thread) {
  const struct cpu_conv_call *call = context;
  const struct cpu_conv *conv = call->conv;
  if (!conv->tiled) {
    KERNEL(conv_dx_plain)(context, begin, end, thread);
    return;
  }
  for (int32_t unit = begin; unit < end;) {
    int32_t block = unit / conv->ih, first = unit % conv->ih;
    int32_t rows = end - unit < conv->ih - first ? end - unit : conv->ih - first;
    const float *g = call->io->dy + block * conv->y.block;
    if (conv->unpool) {
      float *own = conv->g_memory + thread * conv->g.block;
      KERNEL(unpool_block)(call, block, own);
      g = own;
    }
    float *dx = call->io->dx + block * conv->x.block;
    (conv->stride == 2 ? KERNEL(dx_rows_strided) : dx_rows)(call, g, dx, first,
                                                            first + rows);
    unit += rows;
  }
}
