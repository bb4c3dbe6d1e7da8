/*
 * One plane of an image as backend/augment.h defines it, a row at a time: rows that only
 * move are copied, turned ones read from a copy with a black border, so that no pixel
 * asks whether it lies inside.
 */
#include "backend/augment.h"
#include "backend/cpu/isa/isa.h"

enum { BORDER = 2, LANES = CPU_LANES };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "neighbours are read in pairs");

static void copy_row(const struct pbt_augment *it, const uint8_t *plane, int32_t h,
                     int32_t w, int32_t y, uint8_t *restrict to) {
  int32_t from = y - it->down;
  int32_t begin = it->right > 0 ? it->right : 0; // what comes from inside
  int32_t end = it->right < 0 ? w + it->right : w;
  if (from < 0 || from >= h || begin >= end) {
    memset(to, 0, (size_t)w);
    return;
  }
  const uint8_t *row = plane + from * w;
  memset(to, 0, (size_t)begin);
  memset(to + end, 0, (size_t)(w - end));
  if (it->flip) {
    const uint8_t *last = row + (w - 1) + it->right;
    for (int32_t x = begin; x < end; x++) {
      to[x] = last[-x];
    }
  } else {
    memcpy(to + begin, row + begin - it->right, (size_t)(end - begin));
  }
}

/* Sixteen pixels at a time: places and blends are vectors, only the loads between them
 * are not.  Past the row's end there is nothing to fear, as places are clamped. */
static void turn_row(const struct pbt_augment *it, const uint8_t *padded, int32_t h,
                     int32_t w, int32_t y, uint8_t *restrict to) {
  int32_t first_x, first_y, stride = w + 2 * BORDER;
  pbt_augment_source(it, h, w, y, 0, &first_x, &first_y);
  int32_t move_x = it->flip ? -2 * it->cosine : 2 * it->cosine, move_y = -2 * it->sine;
  for (int32_t begin = 0; begin < w; begin += LANES) {
    int32_t place[LANES], fx[LANES], fy[LANES];
    uint16_t upper[LANES], lower[LANES];
    uint8_t pixel[LANES];
    for (int32_t i = 0; i < LANES; i++) {
      int32_t at_x = first_x + 128 + (begin + i) * move_x;
      int32_t at_y = first_y + 128 + (begin + i) * move_y;
      int32_t left = at_x >> 16, top = at_y >> 16;
      left = left < -BORDER ? -BORDER : left;
      left = left > w ? w : left;
      top = top < -BORDER ? -BORDER : top;
      top = top > h ? h : top;
      place[i] = (top + BORDER) * stride + left + BORDER;
      fx[i] = at_x >> 8 & 255;
      fy[i] = at_y >> 8 & 255;
    }
    for (int32_t i = 0; i < LANES; i++) { // both neighbours at once, least byte first
      memcpy(&upper[i], padded + place[i], 2);
      memcpy(&lower[i], padded + place[i] + stride, 2);
    }
    for (int32_t i = 0; i < LANES; i++) {
      pixel[i] = pbt_augment_between(upper[i] & 255, upper[i] >> 8, lower[i] & 255,
                                     lower[i] >> 8, fx[i], fy[i]);
    }
    memcpy(to + begin, pixel, (size_t)(w - begin < LANES ? w - begin : LANES));
  }
}

static void tone(int32_t factor, int32_t base, int32_t n, uint8_t *pixel) {
  for (int32_t i = 0; i < n; i++) {
    pixel[i] = pbt_augment_tone(factor, base, pixel[i]);
  }
}

static void cut(const struct pbt_augment *it, int32_t h, int32_t w, uint8_t *to) {
  int32_t right = it->cut_left + it->cut_side, bottom = it->cut_top + it->cut_side;
  int32_t left = it->cut_left > 0 ? it->cut_left : 0;
  int32_t top = it->cut_top > 0 ? it->cut_top : 0;
  right = right < w ? right : w;
  bottom = bottom < h ? bottom : h;
  for (int32_t y = top; y < bottom && left < right; y++) {
    memset(to + y * w + left, 0, (size_t)(right - left));
  }
}

int64_t KERNEL(augment_border)(int32_t h, int32_t w) {
  return (int64_t)(h + 2 * BORDER) * (w + 2 * BORDER);
}

void KERNEL(augment)(const struct pbt_augment *it, const uint8_t *plane, int32_t h,
                     int32_t w, int32_t mean, uint8_t *padded, uint8_t *to) {
  if (it->turned) {
    int32_t stride = w + 2 * BORDER;
    memset(padded, 0, (size_t)(BORDER * stride));
    memset(padded + (h + BORDER) * stride, 0, (size_t)(BORDER * stride));
    for (int32_t y = 0; y < h; y++) {
      uint8_t *row = padded + (y + BORDER) * stride;
      memset(row, 0, BORDER);
      memcpy(row + BORDER, plane + y * w, (size_t)w);
      memset(row + BORDER + w, 0, BORDER);
    }
  }
  for (int32_t y = 0; y < h; y++) {
    if (it->turned) {
      turn_row(it, padded, h, w, y, to + y * w);
    } else {
      copy_row(it, plane, h, w, y, to + y * w);
    }
  }
  if (it->toned) {
    tone(it->factor, pbt_augment_base(it, mean), h * w, to);
  }
  cut(it, h, w, to);
}
