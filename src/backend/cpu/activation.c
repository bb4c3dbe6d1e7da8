#include "backend/cpu/cpu.h"

struct cpu_stride pbt_cpu_stride(struct pbt_shape shape) {
  int64_t row = (int64_t)(shape.w + 2 * shape.halo) * CPU_LANES;
  int64_t channel = row * (shape.h + 2 * shape.halo);
  return (struct cpu_stride){.row = row,
                             .channel = channel,
                             .block = channel * shape.c,
                             .origin = shape.halo * (row + CPU_LANES)};
}

size_t pbt_cpu_activation_bytes(const struct pbt_backend *backend, struct pbt_shape shape,
                                int32_t max_batch) {
  (void)backend;
  return (size_t)(pbt_cpu_stride(shape).block * cpu_blocks(max_batch)) * sizeof(float);
}

/* The float of sample i, channel c, row y, column x. */
static int64_t place(const struct cpu_stride *s, int32_t i, int32_t c, int32_t y,
                     int32_t x) {
  return i / CPU_LANES * s->block + c * s->channel + s->origin + y * s->row +
         x * CPU_LANES + i % CPU_LANES;
}

pbt_status pbt_cpu_activation_write(struct pbt_backend *backend, struct pbt_shape shape,
                                    int32_t n, float *to, const float *from) {
  (void)backend;
  struct cpu_stride stride = pbt_cpu_stride(shape);
  for (int32_t i = 0; i < n; i++) {
    for (int32_t c = 0; c < shape.c; c++) {
      for (int32_t y = 0; y < shape.h; y++) {
        for (int32_t x = 0; x < shape.w; x++) {
          to[place(&stride, i, c, y, x)] = *from++;
        }
      }
    }
  }
  return PBT_OK;
}

pbt_status pbt_cpu_activation_read(struct pbt_backend *backend, struct pbt_shape shape,
                                   int32_t n, float *to, const float *from) {
  (void)backend;
  struct cpu_stride stride = pbt_cpu_stride(shape);
  for (int32_t i = 0; i < n; i++) {
    for (int32_t c = 0; c < shape.c; c++) {
      for (int32_t y = 0; y < shape.h; y++) {
        for (int32_t x = 0; x < shape.w; x++) {
          *to++ = from[place(&stride, i, c, y, x)];
        }
      }
    }
  }
  return PBT_OK;
}
