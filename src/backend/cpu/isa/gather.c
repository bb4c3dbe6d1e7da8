/*
 * Sixteen images of bytes into one block of lanes: value = pixel * scale + shift. Sixteen
 * pixels of each image at a time, exchanged as bytes (four rounds of interleaving), then
 * widened.  Padding lanes become 0.  Augmented images are made a channel at a time, in a
 * scratch of sixteen planes.
 */
#include "backend/augment.h"
#include "backend/cpu/isa/isa.h"

typedef uint8_t bytes16 __attribute__((vector_size(16)));

/* 16 x 16: pixel of image into image of pixel. */
ALWAYS void transpose_bytes(bytes16 row[16]) {
  UNROLL for (int stage = 0; stage < 4; stage++) {
    bytes16 next[16];
    UNROLL for (int i = 0; i < 8; i++) {
      next[2 * i] = __builtin_shufflevector(row[i], row[i + 8], 0, 16, 1, 17, 2, 18, 3,
                                            19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] = __builtin_shufflevector(row[i], row[i + 8], 8, 24, 9, 25, 10, 26,
                                                11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    UNROLL for (int i = 0; i < 16; i++) {
      row[i] = next[i];
    }
  }
}

/* Pixels at .. at + count - 1 (at most 16) of all planes, transposed. */
static void load_pixels(const uint8_t *const plane[CPU_LANES], int64_t at, int64_t count,
                        uint8_t pixel[16][CPU_LANES]) {
  bytes16 row[16];
  UNROLL for (int l = 0; l < 16; l++) {
    row[l] = (bytes16){0};
    if (count == 16) {
      memcpy(&row[l], plane[l] + at, 16);
    } else {
      memcpy(&row[l], plane[l] + at, (size_t)count);
    }
  }
  transpose_bytes(row);
  memcpy(pixel, row, sizeof row);
}

/* One channel: a plane of bytes to rows of lanes. */
static void gather_plane(const struct cpu_gather_call *call,
                         const uint8_t *const plane[CPU_LANES], int32_t c, int32_t lanes,
                         float *to) {
  const struct pbt_images *images = call->images;
  int64_t size = (int64_t)images->h * images->w;
  vf scale = splat(images->scale[c]), shift = splat(images->shift[c]);
  int64_t gap = call->stride.row - (int64_t)images->w * CPU_LANES;
  int32_t x = 0;
  for (int64_t at = 0; at < size; at += 16) {
    _Alignas(16) uint8_t pixel[16][CPU_LANES];
    int64_t count = size - at < 16 ? size - at : 16;
    load_pixels(plane, at, count, pixel);
    for (int64_t p = 0; p < count; p++, to += CPU_LANES) {
      UNROLL for (int g = 0; g < CPU_LANES; g += V) {
        vf v = __builtin_convertvector(load_bytes(pixel[p] + g), vf);
        v = fma_(v, scale, shift);
        store(to + g, lanes < CPU_LANES ? keep(lanes_below(lanes, g), v) : v);
      }
      if (++x == images->w) {
        x = 0;
        to += gap;
      }
    }
  }
}

int64_t KERNEL(gather_scratch)(const struct pbt_images *images) {
  int64_t bytes = (int64_t)CPU_LANES * images->h * images->w +
                  KERNEL(augment_border)(images->h, images->w);
  return (bytes + 63) / 64 * 64;
}

/* Plane c of each image into scratch, and plane[] to there. */
static void augment_planes(const struct cpu_gather_call *call,
                           const struct pbt_augment *augment, int32_t c, int32_t lanes,
                           uint8_t *scratch, const uint8_t *plane[CPU_LANES]) {
  const struct pbt_images *images = call->images;
  int32_t h = images->h, w = images->w, size = h * w;
  int32_t mean = pbt_augment_mean(images->scale[c], images->shift[c]);
  for (int32_t l = 0; l < lanes; l++) {
    KERNEL(augment)
    (&augment[l], plane[l], h, w, mean, scratch + CPU_LANES * size, scratch + l * size);
    plane[l] = scratch + l * size;
  }
  for (int32_t l = lanes; l < CPU_LANES; l++) {
    plane[l] = plane[0];
  }
}

void KERNEL(gather)(const void *context, int32_t begin, int32_t end, int32_t thread) {
  const struct cpu_gather_call *call = context;
  const struct pbt_images *images = call->images;
  for (int32_t block = begin; block < end; block++) {
    int32_t first = block * CPU_LANES, rest = call->n - first;
    int32_t lanes = rest < CPU_LANES ? rest : CPU_LANES;
    struct pbt_augment augment[CPU_LANES];
    for (int32_t l = 0; l < lanes && call->step != NULL; l++) {
      pbt_augment_draw(call->step, call->position + first + l, images->h, images->w,
                       &augment[l]);
    }
    float *to = call->x + block * call->stride.block + call->stride.origin;
    for (int32_t c = 0; c < images->c; c++) {
      const uint8_t *plane[CPU_LANES];
      for (int32_t l = 0; l < CPU_LANES; l++) {
        plane[l] =
            call->image[first + (l < lanes ? l : 0)] + (int64_t)c * images->h * images->w;
      }
      if (call->step != NULL) {
        uint8_t *scratch = call->scratch + thread * KERNEL(gather_scratch)(images);
        augment_planes(call, augment, c, lanes, scratch, plane);
      }
      gather_plane(call, plane, c, lanes, to + c * call->stride.channel);
    }
  }
}
