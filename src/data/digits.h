/*
 * digits.h - handwriting-like digits, drawn from strokes.  Private to src/data.  Pure.
 */
#ifndef PBT_DATA_DIGITS_H
#define PBT_DATA_DIGITS_H

#include <stdint.h>

enum { PBT_DIGIT_SIDE = 28, PBT_DIGIT_PIXELS = 784, PBT_DIGIT_CLASSES = 10 };

/* Draws the image of sample `index`, which depends on (seed, index) only: the same bytes
 * on every machine.  Returns its label, index % 10. */
uint8_t pbt_digit_draw(uint64_t seed, uint64_t index, uint8_t pixel[PBT_DIGIT_PIXELS]);

/* Ways to write a digit: the places a pen passes through, joined by Catmull-Rom curves.
 * A place given twice is a corner.  x -50..50 right, y -70..70 down. */
struct pbt_pen {
  int8_t x, y;
};
enum { PBT_PEN_UP = 127 }; // as x: the pen is lifted
enum { PBT_GLYPH_PLACES = 24 };
struct pbt_glyph {
  int8_t digit, n;
  struct pbt_pen place[PBT_GLYPH_PLACES];
};
/* All ways to write `digit`: *n of them. */
const struct pbt_glyph *pbt_glyphs(int digit, int *n);

#endif
