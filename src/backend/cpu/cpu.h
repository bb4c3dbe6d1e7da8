/* cpu.h - the CPU backend's own structs, shared by its files. */
#ifndef PBT_BACKEND_CPU_CPU_H
#define PBT_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/threads.h"

struct cpu_backend {
  struct pbt_backend base; // first
  const struct cpu_kernels *kernels;
  struct cpu_threads *threads; // NULL: one
  int32_t n_threads;
  float *scratch; // shared by all layers: only for the length of one call
  int64_t scratch_floats;
  char description[64];
};

extern const struct pbt_backend_ops pbt_backend_cpu;

static inline struct cpu_backend *cpu_of(struct pbt_backend *backend) {
  return (struct cpu_backend *)backend;
}

/* Where an activation of this shape lies. */
struct cpu_stride pbt_cpu_stride(struct pbt_shape shape);
size_t pbt_cpu_activation_bytes(const struct pbt_backend *backend, struct pbt_shape shape,
                                int32_t max_batch);
pbt_status pbt_cpu_activation_write(struct pbt_backend *backend, struct pbt_shape shape,
                                    int32_t n, float *to, const float *from);
pbt_status pbt_cpu_activation_read(struct pbt_backend *backend, struct pbt_shape shape,
                                   int32_t n, float *to, const float *from);

pbt_status pbt_cpu_data_open(struct pbt_backend *backend, const struct pbt_images *images,
                             struct pbt_dataset **dataset);
void pbt_cpu_data_close(struct pbt_backend *backend, struct pbt_dataset *dataset);
pbt_status pbt_cpu_gather(struct pbt_backend *backend, const struct pbt_batch *batch,
                          struct pbt_shape shape, float *x, int32_t *label);

pbt_status pbt_cpu_layer_open(struct pbt_backend *backend,
                              const struct pbt_layer_desc *desc, int32_t max_batch,
                              struct pbt_layer **layer);
void pbt_cpu_layer_close(struct pbt_backend *backend, struct pbt_layer *layer);
pbt_status pbt_cpu_forward(struct pbt_backend *backend, struct pbt_layer *layer,
                           const struct pbt_layer_io *io);
pbt_status pbt_cpu_backward(struct pbt_backend *backend, struct pbt_layer *layer,
                            const struct pbt_layer_io *io);
const char *pbt_cpu_layer_describe(const struct pbt_layer *layer);

/* At least `floats` floats of cpu->scratch; at open time only. */
pbt_status pbt_cpu_reserve(struct cpu_backend *cpu, int64_t floats);

struct pbt_layer {
  const struct cpu_layer_kind *kind;
  int32_t max_batch;
  union { // the plan
    struct cpu_conv conv;
    struct cpu_dense dense;
    struct cpu_norm norm;
    struct cpu_pool pool;
    struct cpu_dropout dropout;
  };
  char description[96];
};

/* One kind of layer, a file each.  open() fills the plan, with its memory, and the
 * description; close() frees what a half-done open() left as well. */
struct cpu_layer_kind {
  pbt_status (*open)(struct cpu_backend *cpu, const struct pbt_layer_desc *desc,
                     struct pbt_layer *layer);
  void (*close)(struct pbt_layer *layer); // NULL: nothing to free
  void (*forward)(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                  const struct pbt_layer_io *io);
  void (*backward)(const struct cpu_backend *cpu, const struct pbt_layer *layer,
                   const struct pbt_layer_io *io);
};
extern const struct cpu_layer_kind pbt_cpu_conv, pbt_cpu_dense, pbt_cpu_norm,
    pbt_cpu_pool, pbt_cpu_dropout;

#endif
