/*
 * augment.h - what augmentation does to one training image: the definition that every
 * backend shares, so that all make the same bytes.
 *
 * Plain C and CUDA C alike; integers only past the hyperparameters, which are multiplied
 * by powers of two and cut off, so that nothing depends on how a machine rounds.  An
 * image's draws are named by (step->seed, step->member, PBT_RNG_AUGMENT, position of the
 * sample in the member's stream), and each draw has words of its own in that stream: a
 * hyperparameter that is turned on leaves the draws of the others as they were.
 *
 * In this order, each for all channels alike:
 *
 *   flip        left to right, with probability `flip`
 *   rotation    about the middle, by an angle uniform in -r .. r degrees, bilinear
 *   shift       by whole pixels to either side and up or down, independent: uniform over
 *               -s .. s for a whole s; in between the outermost two come more seldom
 *   contrast    differences from the data set's mean (of the channel) times a factor
 *               uniform in 1 - c .. 1 + c
 *   brightness  plus a share of full scale uniform in -b .. b, then cut to 0 .. 255
 *   cutout      a black square whose middle lies anywhere in the image, so that it may
 *               reach over the edge (DeVries & Taylor 2017, arXiv 1708.04552); for a side
 *               that is not whole one of its two neighbours, in proportion
 *
 * What comes in from outside the picture is black (0), as zero padding of the images
 * would give.  Limits, beyond which a hyperparameter counts as the limit: shift and
 * cutout 4096 pixels, rotation 180 degrees, the others 1.  Sides up to 4096 pixels.
 */
#ifndef PBT_BACKEND_AUGMENT_H
#define PBT_BACKEND_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h" // struct pbt_step

#if defined __CUDACC__
#define PBT_AUGMENT static __host__ __device__ inline
#else
#define PBT_AUGMENT static inline
#endif

/* The draws of one image. */
struct pbt_augment {
  bool flip, turned, toned; // whether anything of the kind happens
  int32_t sine, cosine;     // of the angle, in 1/32768
  int32_t right, down;      // pixels of the shift
  int32_t factor;           // of the contrast, in 1/65536
  int32_t offset;           // of the brightness, in 1/65536 of a byte's step
  int32_t cut_left, cut_top, cut_side;
};

PBT_AUGMENT bool pbt_augments(const struct pbt_hyper *hyper) {
  return hyper->shift > 0.0f || hyper->flip > 0.0f || hyper->cutout > 0.0f ||
         hyper->rotation > 0.0f || hyper->brightness > 0.0f || hyper->contrast > 0.0f;
}

/* value * 65536, cut off, within 0 .. limit * 65536; NaN is 0. */
PBT_AUGMENT int32_t pbt_augment_fixed(float value, int32_t limit) {
  if (!(value > 0.0f)) {
    return 0;
  }
  return value < (float)limit ? (int32_t)(value * 65536.0f) : limit * 65536;
}

/* Block `block` of the stream: Philox4x32-10 as base/rng.h names it. */
PBT_AUGMENT void pbt_augment_words(const struct pbt_step *step, int64_t position,
                                   uint32_t block, uint32_t word[4]) {
  uint32_t key0 = (uint32_t)step->seed, key1 = (uint32_t)(step->seed >> 32);
  uint64_t at = (uint64_t)position;
  word[0] = block;
  word[1] = (uint32_t)at;
  word[2] = ((uint32_t)(at >> 32) << 16) | (uint32_t)PBT_RNG_AUGMENT;
  word[3] = step->member;
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)word[0] * 0xD2511F53u;
    uint64_t b = (uint64_t)word[2] * 0xCD9E8D57u;
    word[0] = (uint32_t)(b >> 32) ^ word[1] ^ key0;
    word[2] = (uint32_t)(a >> 32) ^ word[3] ^ key1;
    word[1] = (uint32_t)b;
    word[3] = (uint32_t)a;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

/* Uniform in -limit .. limit, ends included. */
PBT_AUGMENT int32_t pbt_augment_either(uint32_t word, int32_t limit) {
  return (int32_t)((uint64_t)word * (2u * (uint32_t)limit + 1u) >> 32) - limit;
}

/* Whole pixels for a limit in 1/65536: what lies within -limit - 1/2 .. limit + 1/2 is
 * rounded. */
PBT_AUGMENT int32_t pbt_augment_pixels(uint32_t word, int32_t limit) {
  int32_t reach = limit + 32768;
  int32_t drawn = (int32_t)((uint64_t)word * (2u * (uint32_t)reach) >> 32) - reach;
  return (drawn + 32768) >> 16;
}

/* Sine and cosine of an angle in 1/65536 degrees, -180 .. 180: Taylor's series within an
 * eighth of a turn, in 1/2^30. */
PBT_AUGMENT void pbt_augment_turn(int32_t angle, int32_t *sine, int32_t *cosine) {
  const int32_t right_angle = 90 * 65536;
  int32_t quarter = (angle + 180 * 65536 + right_angle / 2) / right_angle; // 0 .. 4
  const int64_t one = (int64_t)1 << 30;
  int64_t x = (int64_t)(angle + 180 * 65536 - quarter * right_angle) * 18740330 / 65536;
  int64_t xx = x * x / one;
  int64_t s = one - xx / 42;
  s = one - xx * s / one / 20;
  s = one - xx * s / one / 6;
  s = (x * s / one + 16384 + one) / 32768 - 32768;
  int64_t c = one - xx / 56;
  c = one - xx * c / one / 30;
  c = one - xx * c / one / 12;
  c = one - xx * c / one / 2;
  c = (c + 16384) / 32768;
  /* quarter 2 is no turn at all, as the angle was raised by half a turn */
  *sine = (int32_t)(quarter == 2 ? s : quarter == 3 ? c : quarter == 1 ? -c : -s);
  *cosine = (int32_t)(quarter == 2 ? c : quarter == 3 ? -s : quarter == 1 ? s : -c);
}

/* What happens to the sample at `position` of the stream, an image of h x w. */
PBT_AUGMENT void pbt_augment_draw(const struct pbt_step *step, int64_t position,
                                  int32_t h, int32_t w, struct pbt_augment *it) {
  const struct pbt_hyper *hyper = &step->hyper;
  uint32_t word[12];
  pbt_augment_words(step, position, 0, word);
  pbt_augment_words(step, position, 1, word + 4);
  pbt_augment_words(step, position, 2, word + 8);

  it->flip = (word[0] >> 16) < (uint32_t)pbt_augment_fixed(hyper->flip, 1);
  int32_t angle = pbt_augment_either(word[1], pbt_augment_fixed(hyper->rotation, 180));
  it->turned = angle != 0;
  pbt_augment_turn(angle, &it->sine, &it->cosine);
  int32_t shift = pbt_augment_fixed(hyper->shift, 4096);
  it->right = pbt_augment_pixels(word[2], shift);
  it->down = pbt_augment_pixels(word[3], shift);

  int32_t contrast = pbt_augment_either(word[4], pbt_augment_fixed(hyper->contrast, 1));
  int32_t brightness =
      pbt_augment_either(word[5], pbt_augment_fixed(hyper->brightness, 1));
  it->toned = contrast != 0 || brightness != 0;
  it->factor = 65536 + contrast;
  it->offset = brightness * 255;

  int32_t side = pbt_augment_fixed(hyper->cutout, 4096);
  it->cut_side = (side + (int32_t)(word[6] >> 16)) >> 16;
  it->cut_left = (int32_t)((uint64_t)word[7] * (uint32_t)w >> 32) - it->cut_side / 2;
  it->cut_top = (int32_t)((uint64_t)word[8] * (uint32_t)h >> 32) - it->cut_side / 2;
}

/* The pixel value that normalises to 0, in 1/256, from a channel's scale and shift of
 * struct pbt_images. */
PBT_AUGMENT int32_t pbt_augment_mean(float scale, float shift) {
  float mean = -shift / scale;
  return mean > 0.0f ? mean < 255.0f ? (int32_t)(mean * 256.0f) : 255 * 256 : 0;
}

/* Contrast and brightness: (factor * pixel + base) >> 16, cut to 0 .. 255. */
PBT_AUGMENT int32_t pbt_augment_base(const struct pbt_augment *it, int32_t mean) {
  return (int32_t)((int64_t)(65536 - it->factor) * mean / 256) + it->offset + 32768;
}
PBT_AUGMENT uint8_t pbt_augment_tone(int32_t factor, int32_t base, uint8_t pixel) {
  int32_t value = (factor * pixel + base) >> 16;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Where pixel (x, y) of a turned image comes from: in 1/65536 of a pixel.  From one pixel
 * to the next *at_x moves by 2 * cosine and *at_y by -2 * sine (flip: *at_x the other
 * way). */
PBT_AUGMENT void pbt_augment_source(const struct pbt_augment *it, int32_t h, int32_t w,
                                    int32_t y, int32_t x, int32_t *at_x, int32_t *at_y) {
  int32_t u = 2 * (x - it->right) - (w - 1), v = 2 * (y - it->down) - (h - 1);
  int32_t from_middle = it->cosine * u + it->sine * v;
  *at_x = (w - 1) * 32768 + (it->flip ? -from_middle : from_middle);
  *at_y = (h - 1) * 32768 + it->cosine * v - it->sine * u;
}

/* Between four neighbours, the place within them in 1/256. */
PBT_AUGMENT uint8_t pbt_augment_between(int32_t top_left, int32_t top_right,
                                        int32_t low_left, int32_t low_right, int32_t fx,
                                        int32_t fy) {
  int32_t top = top_left * (256 - fx) + top_right * fx;
  int32_t low = low_left * (256 - fx) + low_right * fx;
  return (uint8_t)((top * (256 - fy) + low * fy + 32768) >> 16);
}

PBT_AUGMENT int32_t pbt_augment_at(const uint8_t *plane, int32_t h, int32_t w, int32_t y,
                                   int32_t x) {
  return y >= 0 && y < h && x >= 0 && x < w ? plane[y * w + x] : 0;
}

/* The definition: pixel (x, y) of the augmented image, `plane` being one channel (h, w)
 * of the image and `mean` its pbt_augment_mean.  Backends may be faster, not other. */
PBT_AUGMENT uint8_t pbt_augment_pixel(const struct pbt_augment *it, const uint8_t *plane,
                                      int32_t h, int32_t w, int32_t mean, int32_t y,
                                      int32_t x) {
  if (x >= it->cut_left && x - it->cut_left < it->cut_side && y >= it->cut_top &&
      y - it->cut_top < it->cut_side) {
    return 0;
  }
  int32_t value;
  if (it->turned) {
    int32_t at_x, at_y;
    pbt_augment_source(it, h, w, y, x, &at_x, &at_y);
    at_x += 128; // to the nearest 1/256
    at_y += 128;
    int32_t left = at_x >> 16, top = at_y >> 16;
    value = pbt_augment_between(pbt_augment_at(plane, h, w, top, left),
                                pbt_augment_at(plane, h, w, top, left + 1),
                                pbt_augment_at(plane, h, w, top + 1, left),
                                pbt_augment_at(plane, h, w, top + 1, left + 1),
                                at_x >> 8 & 255, at_y >> 8 & 255);
  } else {
    int32_t from = x - it->right;
    value = pbt_augment_at(plane, h, w, y - it->down, it->flip ? w - 1 - from : from);
  }
  return it->toned
             ? pbt_augment_tone(it->factor, pbt_augment_base(it, mean), (uint8_t)value)
             : (uint8_t)value;
}

#endif
