/*
 * y = relu(W x + b) and its gradients: three products by one register tile each.
 *
 *   forward  y[o]  = sum over i of W[o][i] x[i]     lanes over samples
 *   dx       dx[i] = sum over o of W[o][i] dy[o]    lanes over samples
 *   dweight  dW[o][i] = sum over s of dy[o][s] x[s][i]   lanes over inputs
 *
 * The first two broadcast a weight against up to four lane groups, so that a weight read
 * once serves up to 64 samples.  dweight reads x with lanes and inputs exchanged, and so
 * needs no sum across lanes.
 */
#include "backend/cpu/isa/isa.h"

enum { COLUMNS = 4, MAX_TILE = 24, PANEL = 64 };

/* A product over `n` terms: rows of weights against columns of lane groups. */
struct product {
  const float *weight; // of the tile's first row
  int64_t row, term;   // steps between rows and between terms
  int32_t n;
  const float *bias; // NULL: 0
  bool relu, add;    // add: to what y holds
  const float *x;    // term 0, lane 0
  float *y;          // the tile's first row, lane 0
  int64_t x_block, y_block;
};

/* The float offset of lane group `column` (from 0 over all blocks). */
ALWAYS int64_t group_at(int32_t column, int64_t block) {
  return column / GROUPS * block + column % GROUPS * V;
}

ALWAYS void product_tile(const struct product *p, int32_t column, int rows, int columns,
                         int64_t row, int64_t term) {
  vf acc[MAX_TILE];
  const float *x[COLUMNS];
  UNROLL for (int c = 0; c < columns; c++) {
    x[c] = p->x + group_at(column + c, p->x_block);
  }
  UNROLL for (int t = 0; t < rows * columns; t++) {
    acc[t] = splat(p->bias != NULL ? p->bias[t / columns] : 0);
  }
  const float *w = p->weight;
  for (int64_t i = 0; i < p->n; i++) {
    vf v[COLUMNS];
    UNROLL for (int c = 0; c < columns; c++) {
      v[c] = load(x[c] + i * CPU_LANES);
    }
    UNROLL for (int j = 0; j < rows; j++) {
      vf tap = splat(w[j * row]);
      UNROLL for (int c = 0; c < columns; c++) {
        acc[j * columns + c] = fma_(tap, v[c], acc[j * columns + c]);
      }
    }
    w += term;
  }
  UNROLL for (int t = 0; t < rows * columns; t++) {
    vf v = acc[t];
    if (p->relu) {
      v = choose(less_equal(v, splat(0)), splat(0), v);
    }
    float *y =
        p->y + group_at(column + t % columns, p->y_block) + t / columns * CPU_LANES;
    store(y, p->add ? v + load(y) : v);
  }
}

typedef void product_function(const struct product *p, int32_t column);

/* Two forms: terms side by side in memory (forward), and rows side by side (dx). */
#define PRODUCT(ROWS, COLS)                                                              \
  static void along_##ROWS##_##COLS(const struct product *p, int32_t column) {           \
    product_tile(p, column, ROWS, COLS, p->row, 1);                                      \
  }                                                                                      \
  static void across_##ROWS##_##COLS(const struct product *p, int32_t column) {          \
    product_tile(p, column, ROWS, COLS, 1, p->term);                                     \
  }
#define PRODUCTS(ROWS) PRODUCT(ROWS, 4) PRODUCT(ROWS, 2) PRODUCT(ROWS, 1)
#define NAMES(WAY, ROWS)                                                                 \
  { WAY##_##ROWS##_1, WAY##_##ROWS##_2, WAY##_##ROWS##_4 }
#if WIDE
PRODUCTS(6)
PRODUCTS(4) PRODUCTS(2) PRODUCTS(1) static const int32_t row_counts[] = {6, 4, 2, 1};
/* [way][rows][log2 columns] */
static product_function *const product_table[2][4][3] = {
    {NAMES(along, 6), NAMES(along, 4), NAMES(along, 2), NAMES(along, 1)},
    {NAMES(across, 6), NAMES(across, 4), NAMES(across, 2), NAMES(across, 1)}};
#else
PRODUCTS(3) PRODUCTS(2) PRODUCTS(1) static const int32_t row_counts[] = {3, 2, 1};
static product_function *const product_table[2][3][3] = {
    {NAMES(along, 3), NAMES(along, 2), NAMES(along, 1)},
    {NAMES(across, 3), NAMES(across, 2), NAMES(across, 1)}};
#endif

/* `rows` rows over all lane groups, in the largest tiles that fit. */
static void multiply(struct product p, int32_t rows, int32_t groups, int way) {
  for (int r = 0; rows > 0;) {
    if (rows < row_counts[r]) {
      r++;
      continue;
    }
    for (int32_t column = 0; column < groups;) {
      int c = groups - column >= 4 ? 2 : groups - column >= 2 ? 1 : 0;
      product_table[way][r][c](&p, column);
      column += 1 << c;
    }
    rows -= row_counts[r];
    p.weight += row_counts[r] * p.row;
    p.y += row_counts[r] * CPU_LANES;
    p.bias = p.bias != NULL ? p.bias + row_counts[r] : NULL;
  }
}

ALWAYS int32_t rows_from(int32_t first, int32_t n) {
  return n - first < DENSE_TILE ? n - first : DENSE_TILE;
}

void KERNEL(dense_forward)(const void *context, int32_t begin, int32_t end,
                           int32_t thread) {
  (void)thread;
  const struct cpu_dense_call *call = context;
  const struct cpu_dense *dense = call->dense;
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t o = unit * DENSE_TILE;
    struct product p = {
        .weight = call->io->weight + (int64_t)o * dense->in,
        .row = dense->in,
        .term = 1,
        .n = dense->in,
        .bias = call->io->bias + o,
        .relu = dense->relu,
        .x = call->io->x,
        .y = call->io->y + (int64_t)o * CPU_LANES,
        .x_block = (int64_t)dense->in * CPU_LANES,
        .y_block = (int64_t)dense->out * CPU_LANES,
    };
    multiply(p, rows_from(o, dense->out), call->blocks * GROUPS, 0);
  }
}

void KERNEL(dense_dx)(const void *context, int32_t begin, int32_t end, int32_t thread) {
  (void)thread;
  const struct cpu_dense_call *call = context;
  const struct cpu_dense *dense = call->dense;
  for (int32_t unit = begin; unit < end; unit++) {
    int32_t i = unit * DENSE_TILE;
    struct product p = {
        .weight = call->io->weight + i,
        .row = 1,
        .term = dense->in,
        .n = dense->out,
        .add = call->io->add_dx,
        .x = call->io->dy,
        .y = call->io->dx + (int64_t)i * CPU_LANES,
        .x_block = (int64_t)dense->out * CPU_LANES,
        .y_block = (int64_t)dense->in * CPU_LANES,
    };
    multiply(p, rows_from(i, dense->in), call->blocks * GROUPS, 1);
  }
}

void KERNEL(dense_mask_bias)(const void *context, int32_t begin, int32_t end,
                             int32_t thread) {
  (void)thread;
  const struct cpu_dense_call *call = context;
  const struct cpu_dense *dense = call->dense;
  int32_t last = end * DENSE_TILE < dense->out ? end * DENSE_TILE : dense->out;
  for (int32_t o = begin * DENSE_TILE; o < last; o++) {
    _Alignas(64) float lane[CPU_LANES];
    for (int32_t g = 0; g < CPU_LANES; g += V) {
      vf sum = splat(0);
      for (int32_t block = 0; block < call->blocks; block++) {
        int64_t at = ((int64_t)block * dense->out + o) * CPU_LANES + g;
        int32_t rest = call->io->n - block * CPU_LANES;
        vf v = load(call->io->dy + at);
        if (dense->relu) {
          v = choose(less_equal(load(call->io->y + at), splat(0)), splat(0), v);
        }
        if (rest < CPU_LANES) {
          v = keep(lanes_below(rest, g), v);
        }
        store(call->io->dy + at, v);
        sum += v;
      }
      store(lane + g, sum);
    }
    call->io->dbias[o] = sum_of_lanes(lane);
  }
}

/* x_samples is [panel of 64 inputs][sample][64]: a panel is read from end to end. */
static void transpose_tile(const float *x, int64_t lanes, float *to) {
  vf row[V];
  UNROLL for (int i = 0; i < V; i++) {
    row[i] = load(x + i * CPU_LANES);
  }
  transpose(row);
  UNROLL for (int i = 0; i < V; i++) {
    store(to + i * PANEL, i < lanes ? row[i] : splat(0));
  }
}

void KERNEL(dense_transpose)(const void *context, int32_t begin, int32_t end,
                             int32_t thread) {
  (void)thread;
  const struct cpu_dense_call *call = context;
  const struct cpu_dense *dense = call->dense;
  int64_t panel = (int64_t)call->blocks * CPU_LANES * PANEL;
  for (int32_t block = begin; block < end; block++) {
    const float *x = call->io->x + (int64_t)block * dense->in * CPU_LANES;
    float *to = dense->x_samples + (int64_t)block * CPU_LANES * PANEL;
    int32_t lanes = call->io->n - block * CPU_LANES, i = 0;
    for (; i + V <= dense->in; i += V) {
      for (int32_t g = 0; g < CPU_LANES; g += V) {
        transpose_tile(x + i * CPU_LANES + g, lanes - g,
                       to + i / PANEL * panel + i % PANEL + g * PANEL);
      }
    }
    for (; i < dense->in; i++) {
      for (int32_t l = 0; l < CPU_LANES; l++) {
        to[i / PANEL * panel + i % PANEL + l * PANEL] =
            l < lanes ? x[i * CPU_LANES + l] : 0;
      }
    }
  }
}

/* Outputs o .. o + rows - 1 against inputs i .. i + 4 V - 1. */
ALWAYS void dweight_tile(const struct cpu_dense_call *call, int32_t o, int32_t i,
                         int rows) {
  const struct cpu_dense *dense = call->dense;
  vf acc[MAX_TILE];
  UNROLL for (int t = 0; t < rows * 4; t++) {
    acc[t] = splat(0);
  }
  const float *x = dense->x_samples +
                   (int64_t)(i / PANEL) * call->blocks * CPU_LANES * PANEL + i % PANEL;
  for (int32_t block = 0; block < call->blocks; block++) {
    const float *dy = call->io->dy + ((int64_t)block * dense->out + o) * CPU_LANES;
    for (int32_t l = 0; l < CPU_LANES; l++, x += PANEL) {
      vf v[4];
      UNROLL for (int c = 0; c < 4; c++) {
        v[c] = load(x + c * V);
      }
      UNROLL for (int j = 0; j < rows; j++) {
        vf tap = splat(dy[j * CPU_LANES + l]);
        UNROLL for (int c = 0; c < 4; c++) {
          acc[j * 4 + c] = fma_(tap, v[c], acc[j * 4 + c]);
        }
      }
    }
  }
  float *to = call->io->dweight + (int64_t)o * dense->in + i;
  if (i + 4 * V <= dense->in) {
    UNROLL for (int t = 0; t < rows * 4; t++) {
      store_loose(to + (int64_t)(t / 4) * dense->in + t % 4 * V, acc[t]);
    }
    return;
  }
  _Alignas(64) float row[4 * V];
  UNROLL for (int j = 0; j < rows; j++) {
    UNROLL for (int c = 0; c < 4; c++) {
      store(row + c * V, acc[j * 4 + c]);
    }
    memcpy(to + (int64_t)j * dense->in, row, (size_t)(dense->in - i) * sizeof *to);
  }
}

typedef void dweight_function(const struct cpu_dense_call *call, int32_t o, int32_t i);
#define DWEIGHT(ROWS)                                                                    \
  static void dweight_##ROWS(const struct cpu_dense_call *call, int32_t o, int32_t i) {  \
    dweight_tile(call, o, i, ROWS);                                                      \
  }
DWEIGHT(1)
DWEIGHT(2)
DWEIGHT(3)
#if WIDE
DWEIGHT(4)
DWEIGHT(5)
DWEIGHT(6)
#endif
static dweight_function *const dweight_table[] = {
    NULL,      dweight_1, dweight_2, dweight_3,
#if WIDE
    dweight_4, dweight_5, dweight_6,
#endif
};

void KERNEL(dense_dweight)(const void *context, int32_t begin, int32_t end,
                           int32_t thread) {
  (void)thread;
  const struct cpu_dense_call *call = context;
  const struct cpu_dense *dense = call->dense;
  for (int32_t i = 0; i < dense->in; i += 4 * V) {
    for (int32_t unit = begin; unit < end; unit++) {
      int32_t o = unit * DENSE_TILE;
      dweight_table[rows_from(o, dense->out)](call, o, i);
    }
  }
}
