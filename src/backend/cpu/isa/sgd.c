/* v = momentum v + (g + weight_decay w); w -= lr v, over one contiguous arena. */
#include "backend/cpu/isa/isa.h"

void KERNEL(update_sgd)(const void *context, int32_t begin, int32_t end, int32_t thread) {
  (void)thread;
  const struct pbt_update_io *io = context;
  vf momentum = splat(io->step->hyper.momentum),
     decay = splat(io->step->hyper.weight_decay);
  vf down = splat(-io->step->hyper.lr);
  int64_t last = (int64_t)end * CPU_LANES < io->n ? (int64_t)end * CPU_LANES : io->n;
  int64_t i = (int64_t)begin * CPU_LANES;
  for (; i + V <= last; i += V) {
    vf w = load_loose(io->weight + i);
    vf g = fma_(decay, w, load_loose(io->gradient + i));
    vf v = fma_(momentum, load_loose(io->moment[0] + i), g);
    store_loose(io->moment[0] + i, v);
    store_loose(io->weight + i, fma_(down, v, w));
  }
  if (i < last) {
    size_t bytes = (size_t)(last - i) * sizeof(float);
    vf w = splat(0), g = splat(0), v = splat(0);
    memcpy(&w, io->weight + i, bytes);
    memcpy(&g, io->gradient + i, bytes);
    memcpy(&v, io->moment[0] + i, bytes);
    v = fma_(momentum, v, fma_(decay, w, g));
    w = fma_(down, v, w);
    memcpy(io->moment[0] + i, &v, bytes);
    memcpy(io->weight + i, &w, bytes);
  }
}
