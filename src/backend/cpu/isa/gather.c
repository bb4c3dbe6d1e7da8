/* Sixteen images of bytes into one block of lanes: value = pixel * scale + shift.
 * Padding lanes become 0. */
#include "backend/cpu/isa/isa.h"

static void gather_block(const struct cpu_gather_call *call, int32_t block) {
  const struct pbt_images *images = call->images;
  const uint8_t *const *image = call->image + block * CPU_LANES;
  int32_t rest = call->n - block * CPU_LANES;
  int32_t lanes = rest < CPU_LANES ? rest : CPU_LANES;
  const uint8_t *pixel[CPU_LANES];
  for (int32_t l = 0; l < CPU_LANES; l++) {
    pixel[l] = image[l < lanes ? l : 0];
  }
  float *to = call->x + block * call->stride.block + call->stride.origin;
  int64_t at = 0;
  for (int32_t c = 0; c < images->c; c++) {
    vf scale = splat(images->scale[c]), shift = splat(images->shift[c]);
    for (int32_t y = 0; y < images->h; y++) {
      float *row = to + c * call->stride.channel + y * call->stride.row;
      for (int32_t x = 0; x < images->w; x++, at++) {
        uint8_t byte[CPU_LANES];
        for (int32_t l = 0; l < CPU_LANES; l++) {
          byte[l] = pixel[l][at];
        }
        for (int32_t g = 0; g < CPU_LANES; g += V) {
          vf v = __builtin_convertvector(load_bytes(byte + g), vf);
          v = fma_(v, scale, shift);
          if (lanes < CPU_LANES) {
            v = keep(lanes_below(lanes, g), v);
          }
          store(row + x * CPU_LANES + g, v);
        }
      }
    }
  }
}

void KERNEL(gather)(const void *context, int32_t begin, int32_t end, int32_t thread) {
  (void)thread;
  for (int32_t block = begin; block < end; block++) {
    gather_block(context, block);
  }
}
