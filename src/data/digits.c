/*
 * Generated digits.  A sample is a few hundred random numbers of its own Philox stream
 * and nothing else:
 *
 *   glyph          one of the ways to write the digit, each place of the pen jittered
 *   curve          Catmull-Rom through the places
 *   elastic        every point moved by a smooth random field (a cubic B-spline over a
 *                  coarse grid of random displacements)
 *   affine         scale, shear, rotation, shift
 *   ink            distance to the curve against a pen radius that drifts along it, with
 *                  a soft edge: anti-aliased without oversampling
 *   clutter        stray strokes and specks beside the digit
 *   picture        brightness, an uneven backdrop, noise
 *
 * The distortion acts on the pen's path, not on pixels, so an image costs some tens of
 * microseconds.  Only + - * / and sqrt, which IEEE 754 rounds alike everywhere, and the
 * sine of base/detmath: the same bytes on every machine.
 */
#include "data/digits.h"

#include "base/detmath.h" // pbt_sin, pbt_cos
#include "base/rng.h"     // PBT_RNG_DIGITS
#include "data/source.h"  // struct pbt_source_ops

#include <math.h> // sqrtf: exact by IEEE 754
#include <stdbool.h>
#include <string.h>

enum {
  SIDE = PBT_DIGIT_SIDE,
  SPAN_STEPS = 5, // line segments a span of the curve
  MAX_POINTS = PBT_GLYPH_PLACES * SPAN_STEPS,
  GRID = 5, // elastic field: 2 x 2 cells, 5 x 5 knots
  CELLS = GRID - 3
};

struct point {
  float x, y;
};

/* A path as points; `lifted` says that no line leads to this point. */
struct path {
  int n;
  struct point point[MAX_POINTS];
  bool lifted[MAX_POINTS];
};

static float between(struct pbt_rng *rng, float low, float high) {
  float u = (float)(pbt_rng_u32(rng) >> 8) * 0x1p-24f;
  return low + (high - low) * u;
}

/* Near 0, mostly: the mean of three uniforms, deviation spread / 3. */
static float around_zero(struct pbt_rng *rng, float spread) {
  uint32_t bits = pbt_rng_u32(rng);
  uint32_t sum = (bits & 1023) + (bits >> 10 & 1023) + (bits >> 20 & 1023);
  return ((float)sum / 1534.5f - 1.0f) * spread;
}

static float catmull_rom(float a, float b, float c, float d, float t) {
  float linear = c - a;
  float square = 2.0f * a - 5.0f * b + 4.0f * c - d;
  float cube = 3.0f * (b - c) + d - a;
  return b + 0.5f * t * (linear + t * (square + t * cube));
}

/* The curve through place[0..n-1], appended to the path. */
static void add_stroke(struct path *path, const struct point *place, int n) {
  for (int i = 0; i + 1 < n; i++) {
    struct point a = place[i > 0 ? i - 1 : i], b = place[i], c = place[i + 1],
                 d = place[i + 2 < n ? i + 2 : i + 1];
    if (b.x == c.x && b.y == c.y) {
      continue; // a corner's second place
    }
    bool sharp_start = a.x == b.x && a.y == b.y;
    bool sharp_end = d.x == c.x && d.y == c.y;
    int steps = sharp_start && sharp_end ? 1 : SPAN_STEPS;
    for (int k = i == 0 ? 0 : 1; k <= steps; k++) {
      float t = (float)k / (float)steps;
      path->lifted[path->n] = i == 0 && k == 0;
      path->point[path->n++] = (struct point){catmull_rom(a.x, b.x, c.x, d.x, t),
                                              catmull_rom(a.y, b.y, c.y, d.y, t)};
    }
  }
}

/* The glyph in units of half a digit's height, y within about -1..1. */
static void trace_glyph(struct pbt_rng *rng, const struct pbt_glyph *glyph,
                        struct path *path) {
  struct point place[PBT_GLYPH_PLACES];
  int n = 0;
  path->n = 0;
  for (int i = 0; i < glyph->n; i++) {
    const struct pbt_pen *pen = &glyph->place[i];
    if (pen->x == PBT_PEN_UP) {
      add_stroke(path, place, n);
      n = 0;
      continue;
    }
    bool corner = i > 0 && pen->x == pen[-1].x && pen->y == pen[-1].y && n > 0;
    place[n] = corner ? place[n - 1]
                      : (struct point){(float)pen->x / 70.0f + around_zero(rng, 0.16f),
                                       (float)pen->y / 70.0f + around_zero(rng, 0.16f)};
    n++;
  }
  add_stroke(path, place, n);
}

static void spline_weights(float t, float weight[4]) {
  float s = 1.0f - t;
  weight[0] = s * s * s / 6.0f;
  weight[1] = (3.0f * t * t * t - 6.0f * t * t + 4.0f) / 6.0f;
  weight[2] = (3.0f * s * s * s - 6.0f * s * s + 4.0f) / 6.0f;
  weight[3] = t * t * t / 6.0f;
}

/* Where in the grid a coordinate of -1.2..1.2 falls. */
static int grid_cell(float x, float *t) {
  float at = (x + 1.2f) * ((float)CELLS / 2.4f);
  int cell = at < 0.0f ? 0 : (int)at;
  cell = cell < CELLS ? cell : CELLS - 1;
  *t = at - (float)cell;
  *t = *t < 0.0f ? 0.0f : *t > 1.0f ? 1.0f : *t;
  return cell;
}

static void distort(struct pbt_rng *rng, struct path *path) {
  struct point knot[GRID][GRID];
  float strength = between(rng, 0.2f, 0.9f);
  for (int i = 0; i < GRID * GRID; i++) {
    float x = around_zero(rng, strength);
    knot[i / GRID][i % GRID] = (struct point){x, around_zero(rng, strength)};
  }
  for (int i = 0; i < path->n; i++) {
    struct point *p = &path->point[i];
    float tx, ty, wx[4], wy[4];
    int cx = grid_cell(p->x, &tx), cy = grid_cell(p->y, &ty);
    spline_weights(tx, wx);
    spline_weights(ty, wy);
    struct point move = {0.0f, 0.0f};
    for (int k = 0; k < 16; k++) {
      float weight = wy[k / 4] * wx[k % 4];
      move.x += weight * knot[cy + k / 4][cx + k % 4].x;
      move.y += weight * knot[cy + k / 4][cx + k % 4].y;
    }
    p->x += move.x;
    p->y += move.y;
  }
}

/* To pixels: scale, shear and turn about the middle, then shift. */
static void place_in_picture(struct pbt_rng *rng, struct path *path) {
  double angle = (double)around_zero(rng, 0.45f);
  float cosine = (float)pbt_cos(angle), sine = (float)pbt_sin(angle);
  float shear = around_zero(rng, 0.5f) - 0.1f; // most hands lean to the right
  float sy = between(rng, 6.8f, 10.2f);
  float sx = sy * between(rng, 0.75f, 1.2f);
  float shift_x = 13.5f + around_zero(rng, 4.0f),
        shift_y = 13.5f + around_zero(rng, 3.5f);
  for (int i = 0; i < path->n; i++) {
    struct point *p = &path->point[i];
    float x = sx * (p->x + shear * p->y), y = sy * p->y;
    p->x = shift_x + cosine * x - sine * y;
    p->y = shift_y + sine * x + cosine * y;
  }
}

/* ink = max(ink, brightness * coverage) around one line from a to b. */
static void draw_line(float ink[SIDE][SIDE], struct point a, struct point b, float radius,
                      float softness, float brightness) {
  float reach = radius + 0.5f * softness;
  float x0 = a.x < b.x ? a.x : b.x, x1 = a.x < b.x ? b.x : a.x;
  float y0 = a.y < b.y ? a.y : b.y, y1 = a.y < b.y ? b.y : a.y;
  if (x1 + reach < 0.0f || y1 + reach < 0.0f || x0 - reach > (float)(SIDE - 1) ||
      y0 - reach > (float)(SIDE - 1)) {
    return;
  }
  int left = x0 - reach > 0.0f ? (int)(x0 - reach) : 0;
  int top = y0 - reach > 0.0f ? (int)(y0 - reach) : 0;
  int right = x1 + reach < (float)(SIDE - 1) ? (int)(x1 + reach) + 1 : SIDE - 1;
  int bottom = y1 + reach < (float)(SIDE - 1) ? (int)(y1 + reach) + 1 : SIDE - 1;
  float dx = b.x - a.x, dy = b.y - a.y;
  float square = dx * dx + dy * dy;
  float inverse = square > 0.0f ? 1.0f / square : 0.0f;
  float slope = 1.0f / softness;
  for (int y = top; y <= bottom; y++) {
    for (int x = left; x <= right; x++) {
      float px = (float)x - a.x, py = (float)y - a.y;
      float t = (px * dx + py * dy) * inverse;
      t = t > 0.0f ? t : 0.0f;
      t = t < 1.0f ? t : 1.0f;
      float ex = px - t * dx, ey = py - t * dy;
      float cover = (reach - sqrtf(ex * ex + ey * ey)) * slope;
      cover = cover > 0.0f ? cover : 0.0f;
      cover = (cover < 1.0f ? cover : 1.0f) * brightness;
      ink[y][x] = ink[y][x] > cover ? ink[y][x] : cover;
    }
  }
}

/* The pen presses now more, now less: its radius runs from `from` to `to`. */
static void draw_path(float ink[SIDE][SIDE], const struct path *path, float from,
                      float to, float softness, float brightness) {
  for (int i = 1; i < path->n; i++) {
    if (!path->lifted[i]) {
      float radius = from + (to - from) * (float)i / (float)path->n;
      draw_line(ink, path->point[i - 1], path->point[i], radius, softness, brightness);
    }
  }
}

/* Strays that begin anywhere and are shorter than a digit's strokes. */
static void draw_clutter(struct pbt_rng *rng, float ink[SIDE][SIDE], float radius,
                         float brightness) {
  uint32_t n = pbt_rng_below(rng, 4);
  for (uint32_t i = 0; i < n; i++) {
    struct point a = {between(rng, 0.0f, (float)SIDE), between(rng, 0.0f, (float)SIDE)};
    struct point b = {a.x + around_zero(rng, 9.0f), a.y + around_zero(rng, 9.0f)};
    float share = between(rng, 0.3f, 0.9f);
    draw_line(ink, a, b, radius * between(rng, 0.5f, 1.0f), 1.0f, brightness * share);
  }
}

/* Four bytes of one word: their sum is near enough to a normal, in units of deviation. */
static float noise(struct pbt_rng *rng) {
  uint32_t bits = pbt_rng_u32(rng);
  uint32_t sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24);
  return ((float)sum - 510.0f) * (1.0f / 147.8f);
}

static void develop(struct pbt_rng *rng, float ink[SIDE][SIDE], uint8_t *pixel) {
  float grain = between(rng, 0.0f, 0.14f);
  float base = between(rng, 0.0f, 0.12f);
  float tilt_x = around_zero(rng, 0.12f), tilt_y = around_zero(rng, 0.12f);
  for (int y = 0; y < SIDE; y++) {
    for (int x = 0; x < SIDE; x++) {
      float back =
          base +
          (tilt_x * (float)(x - SIDE / 2) + tilt_y * (float)(y - SIDE / 2)) / (float)SIDE;
      float value = ink[y][x] > back ? ink[y][x] : back;
      value = 255.0f * (value + grain * noise(rng)) + 0.5f;
      value = value > 0.0f ? value : 0.0f;
      pixel[y * SIDE + x] = (uint8_t)(value < 255.0f ? value : 255.0f);
    }
  }
}

uint8_t pbt_digit_draw(uint64_t seed, uint64_t index, uint8_t pixel[PBT_DIGIT_PIXELS]) {
  struct pbt_rng rng = pbt_rng_open(seed, PBT_RNG_NOBODY, PBT_RNG_DIGITS, index);
  int digit = (int)(index % PBT_DIGIT_CLASSES);
  int n;
  const struct pbt_glyph *glyph = pbt_glyphs(digit, &n);
  struct path path;
  trace_glyph(&rng, &glyph[pbt_rng_below(&rng, (uint32_t)n)], &path);
  distort(&rng, &path);
  place_in_picture(&rng, &path);
  float ink[SIDE][SIDE];
  memset(ink, 0, sizeof ink);
  float brightness = between(&rng, 0.6f, 1.0f);
  float from = between(&rng, 0.6f, 1.7f);
  float to = from * between(&rng, 0.6f, 1.3f);
  float softness = between(&rng, 0.9f, 1.6f);
  draw_path(ink, &path, from, to, softness, brightness);
  draw_clutter(&rng, ink, from, brightness);
  develop(&rng, ink, pixel);
  return (uint8_t)digit;
}

/* The test set's samples have numbers of their own, so that its images stay the same
 * whatever the size of the training set. */
static const uint64_t first_index[PBT_SETS] = {0, UINT64_C(10) << 40};

static pbt_status measure_digits(const struct pbt_data_source *source,
                                 struct pbt_data_size *size) {
  const int64_t limit = INT32_MAX;
  if (source->train_size < PBT_DIGIT_CLASSES || source->test_size < PBT_DIGIT_CLASSES ||
      source->train_size > limit || source->test_size > limit) {
    return pbt_fail(PBT_ERR_DATA,
                    "data.train_size is %lld and data.test_size %lld; digits are drawn "
                    "in numbers of 10 to %lld",
                    (long long)source->train_size, (long long)source->test_size,
                    (long long)limit);
  }
  *size = (struct pbt_data_size){.n = {source->train_size, source->test_size},
                                 .c = 1,
                                 .h = SIDE,
                                 .w = SIDE,
                                 .n_class = PBT_DIGIT_CLASSES};
  return PBT_OK;
}

static pbt_status labels_digits(const struct pbt_data_source *source, enum pbt_set set,
                                int64_t n, uint8_t *label) {
  (void)source;
  for (int64_t i = 0; i < n; i++) {
    label[i] = (uint8_t)((first_index[set] + (uint64_t)i) % PBT_DIGIT_CLASSES);
  }
  return PBT_OK;
}

static pbt_status images_digits(const struct pbt_data_source *source, enum pbt_set set,
                                int64_t n, const int64_t slot[], uint8_t *pixel) {
  for (int64_t i = 0; i < n; i++) {
    pbt_digit_draw(source->seed, first_index[set] + (uint64_t)i,
                   pixel + slot[i] * PBT_DIGIT_PIXELS);
  }
  return PBT_OK;
}

const struct pbt_source_ops pbt_source_digits = {
    .measure = measure_digits, .labels = labels_digits, .images = images_digits};
