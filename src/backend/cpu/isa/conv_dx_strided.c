/*
 * dx of a convolution at stride 2.  Rows and columns of dx fall into even and odd; each
 * meets its own half of the kernel's rows or columns, and those read neighbours in g.  So
 * a tile takes every other column of one row of dx, and runs over `taps` kernel columns.
 * Rows outside g are left out; columns outside g are its halo (conv.c sees to that).
 */
#include "backend/cpu/isa/isa.h"

enum { MAX_TILE = 16 };

struct tile_at {
  const float *g; // channel 0, under kernel row ky_first and the first column's tap 0
  const float *weight; // filter 0, the tile's first input channel, at tap 0's column
  float *dx;
  int32_t ky_first, ky_end;          // every other row of these
  int32_t old_channels, old_columns; // of the tile, written by the tile before
  bool add;                          // to what dx holds
};

ALWAYS void tile(const struct cpu_conv *conv, const struct tile_at *at, int taps, int ic,
                 int xt) {
  vf acc[MAX_TILE];
  UNROLL for (int t = 0; t < ic * xt; t++) {
    acc[t] = splat(0);
    fetch_to_write(at->dx + t / xt * conv->x.channel + 2 * (t % xt) * CPU_LANES);
  }
  int64_t square = (int64_t)conv->k * conv->k, filter = square * conv->ic;
  const float *gc = at->g, *wc = at->weight + at->ky_first * conv->k;
  for (int32_t o = 0; o < conv->oc; o++, gc += conv->g.channel, wc += filter) {
    const float *g = gc, *w = wc;
    for (int32_t ky = at->ky_first; ky < at->ky_end; ky += 2) {
      UNROLL for (int k = 0; k < taps; k++) {
        vf v[4];
        UNROLL for (int p = 0; p < xt; p++) {
          v[p] = load(g + (p - k) * CPU_LANES);
        }
        UNROLL for (int j = 0; j < ic; j++) {
          vf tap = splat(w[j * square + 2 * k]);
          UNROLL for (int p = 0; p < xt; p++) {
            acc[j * xt + p] = fma_(tap, v[p], acc[j * xt + p]);
          }
        }
      }
      g -= conv->g.row;
      w += 2 * conv->k;
    }
  }
  UNROLL for (int t = 0; t < ic * xt; t++) {
    if (t / xt >= at->old_channels && t % xt >= at->old_columns) {
      float *to = at->dx + t / xt * conv->x.channel + 2 * (t % xt) * CPU_LANES;
      store(to, at->add ? acc[t] + load(to) : acc[t]);
    }
  }
}

typedef void tile_function(const struct cpu_conv *conv, const struct tile_at *at);

#define TILE(TAPS, IC, XT)                                                               \
  static void tile_##TAPS##_##IC##_##XT(const struct cpu_conv *conv,                     \
                                        const struct tile_at *at) {                      \
    tile(conv, at, TAPS, IC, XT);                                                        \
  }
#define TILES(IC, XT) TILE(0, IC, XT) TILE(1, IC, XT) TILE(2, IC, XT) TILE(3, IC, XT)

struct choice {
  int32_t ic, xt;
  tile_function *run[4]; // by taps
};
#define CHOICE(IC, XT)                                                                   \
  {                                                                                      \
    IC, XT, {                                                                            \
      tile_0_##IC##_##XT, tile_1_##IC##_##XT, tile_2_##IC##_##XT, tile_3_##IC##_##XT     \
    }                                                                                    \
  }
#if WIDE
enum { MANY = 4 };
TILES(4, 4)
TILES(4, 1)
#else
enum { MANY = 3 };
TILES(3, 4)
TILES(3, 1)
#endif
TILES(1, 4)
TILES(1, 1)
/* [few or many channels][few or many columns] */
static const struct choice tile_table[2][2] = {
    {CHOICE(1, 1), CHOICE(1, 4)},
#if WIDE
    {CHOICE(4, 1), CHOICE(4, 4)},
#else
    {CHOICE(3, 1), CHOICE(3, 4)},
#endif
};

/* Columns q, q + 2, ... of one row of dx, all channels. */
static void half_row(const struct cpu_conv *conv, const struct tile_at *row, int32_t q) {
  int32_t first = (q + conv->pad) % 2, columns = (conv->iw - q + 1) / 2;
  int32_t taps = first < conv->k ? (conv->k - 1 - first) / 2 + 1 : 0;
  const struct choice *tile = &tile_table[conv->ic >= MANY][columns >= 4];
  int64_t square = (int64_t)conv->k * conv->k;
  for (int32_t px = 0; px < columns; px += tile->xt) {
    int32_t x = px + tile->xt <= columns ? px : columns - tile->xt;
    for (int32_t pc = 0; pc < conv->ic; pc += tile->ic) {
      int32_t i = pc + tile->ic <= conv->ic ? pc : conv->ic - tile->ic;
      struct tile_at at = *row;
      at.g += ((q + conv->pad - first) / 2 + x) * CPU_LANES;
      at.dx += i * conv->x.channel + (q + 2 * x) * CPU_LANES;
      at.weight += i * square + first;
      at.old_channels = pc - i;
      at.old_columns = px - x;
      tile->run[taps](conv, &at);
    }
  }
}

void KERNEL(dx_rows_strided)(const struct cpu_conv_call *call, const float *g, float *dx,
                             int32_t first, int32_t end) {
  const struct cpu_conv *conv = call->conv;
  for (int32_t lane = 0; lane < CPU_LANES; lane += V) {
    for (int32_t y = first; y < end; y++) {
      int32_t down = y + conv->pad, highest = down - 2 * (conv->ch - 1);
      struct tile_at row = {
          .weight = call->io->weight,
          .dx = dx + conv->x.origin + y * conv->x.row + lane,
          .ky_first = highest > down % 2 ? highest : down % 2,
          .ky_end = (down < conv->k - 1 ? down : conv->k - 1) + 1,
          .add = call->io->add_dx,
      };
      row.g = g + conv->g.origin + (down - row.ky_first) / 2 * conv->g.row + lane;
      half_row(conv, &row, 0);
      half_row(conv, &row, 1);
    }
  }
}
