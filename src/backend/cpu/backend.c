/*
 * The CPU backend: memory is host memory, calls are done when they return, and the
 * kernels are those of the best instruction set this processor has, or of the one asked
 * for.
 */
#include <math.h> // sqrt
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/memory.h" // counted memory

enum { MAX_THREADS = 256 };

struct isa {
  const struct cpu_kernels *kernels;
  bool (*supported)(void);
};

static bool always(void) {
  return true;
}

#if defined PBT_CPU_X86
static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

/* Best first. */
static const struct isa isa_list[] = {
#if defined PBT_CPU_X86
    {&pbt_cpu_kernels_avx512, has_avx512},
    {&pbt_cpu_kernels_avx2, has_avx2},
#endif
    {&pbt_cpu_kernels_generic, always},
};

static pbt_status choose_isa(const char *wanted, const struct cpu_kernels **kernels) {
  for (size_t i = 0; i < sizeof isa_list / sizeof *isa_list; i++) {
    const struct isa *isa = &isa_list[i];
    bool named = wanted != NULL && strcmp(wanted, isa->kernels->name) == 0;
    if (named && !isa->supported()) {
      return pbt_fail(PBT_ERR_UNAVAILABLE,
                      "instruction set %s is not supported by this processor: unset "
                      "PBT_ISA or choose another of " PBT_CPU_ISA_LIST,
                      wanted);
    }
    if (named || (wanted == NULL && isa->supported())) {
      *kernels = isa->kernels;
      return PBT_OK;
    }
  }
  return pbt_fail(PBT_ERR_UNAVAILABLE,
                  "unknown instruction set \"%s\": choose one of " PBT_CPU_ISA_LIST,
                  wanted);
}

static void close_cpu(struct pbt_backend *backend) {
  if (backend != NULL) {
    pbt_cpu_threads_close(cpu_of(backend)->threads);
    pbt_mem_free(cpu_of(backend)->scratch);
    pbt_mem_free(backend);
  }
}

static pbt_status open_cpu(const struct pbt_backend_options *options,
                           struct pbt_backend **backend) {
  *backend = NULL;
  const char *wanted = options->isa != NULL ? options->isa : getenv("PBT_ISA");
  if (wanted != NULL && *wanted == '\0') {
    wanted = NULL;
  }
  const struct cpu_kernels *kernels = NULL;
  PBT_TRY(choose_isa(wanted, &kernels));
  if (options->threads < 1 || options->threads > MAX_THREADS) {
    return pbt_fail(PBT_ERR_UNAVAILABLE, "threads = %d: the cpu backend takes 1 to %d",
                    options->threads, MAX_THREADS);
  }
  struct cpu_backend *cpu = NULL;
  PBT_TRY(PBT_NEW(1, &cpu));
  *cpu = (struct cpu_backend){
      .base = {&pbt_backend_cpu}, .kernels = kernels, .n_threads = options->threads};
  pbt_status status = pbt_cpu_threads_open(options->threads, &cpu->threads);
  if (status != PBT_OK) {
    close_cpu(&cpu->base);
    return status;
  }
  snprintf(cpu->description, sizeof cpu->description, "cpu %s, %d thread%s",
           kernels->name, options->threads, options->threads == 1 ? "" : "s");
  *backend = &cpu->base;
  return PBT_OK;
}

pbt_status pbt_cpu_reserve(struct cpu_backend *cpu, int64_t floats) {
  if (floats <= cpu->scratch_floats) {
    return PBT_OK;
  }
  float *larger = NULL;
  PBT_TRY(PBT_NEW(floats, &larger));
  pbt_mem_free(cpu->scratch);
  cpu->scratch = larger;
  cpu->scratch_floats = floats;
  return PBT_OK;
}

static const char *describe_cpu(const struct pbt_backend *backend) {
  return ((const struct cpu_backend *)backend)->description;
}

static pbt_status allocate_cpu(struct pbt_backend *backend, size_t bytes, void **memory) {
  (void)backend;
  return pbt_mem_alloc(bytes, memory);
}

static void release_cpu(struct pbt_backend *backend, void *memory) {
  (void)backend;
  pbt_mem_free(memory);
}

static pbt_status move_cpu(struct pbt_backend *backend, void *to, const void *from,
                           size_t n) {
  (void)backend;
  memcpy(to, from, n);
  return PBT_OK;
}

static pbt_status copy_cpu(struct pbt_backend *backend, void *to,
                           struct pbt_backend *source, const void *from, size_t n) {
  (void)source;
  return move_cpu(backend, to, from, n);
}

static pbt_status finish_cpu(struct pbt_backend *backend) {
  (void)backend;
  return PBT_OK;
}

static pbt_status loss_cpu(struct pbt_backend *backend, const struct pbt_loss_io *io) {
  if (io->n_class < 1 || io->n_class > PBT_MAX_CLASSES) {
    return pbt_fail(PBT_ERR_DATA, "%d classes: the loss takes 1 to %d", io->n_class,
                    PBT_MAX_CLASSES);
  }
  cpu_of(backend)->kernels->loss(io);
  return PBT_OK;
}

/* The factor that brings the gradient down to clip_norm. */
static double clip_scale(const struct cpu_backend *cpu,
                         const struct cpu_update_call *call) {
  pbt_cpu_threads_run(cpu->threads, cpu->kernels->update_squares, call, CPU_SHARES);
  double sum = 0, most = (double)call->io->step->hyper.clip_norm;
  for (int share = 0; share < CPU_SHARES; share++) {
    sum += call->squares[share];
  }
  double length = sqrt(sum); // exact by IEEE 754
  return length > most ? most / length : 1;
}

static pbt_status update_cpu(struct pbt_backend *backend,
                             const struct pbt_update_io *io) {
  const struct cpu_backend *cpu = cpu_of(backend);
  const struct pbt_hyper *hyper = &io->step->hyper;
  double squares[CPU_SHARES], lr = (double)hyper->lr, decay = (double)hyper->weight_decay;
  struct cpu_update_call call = {.io = io,
                                 .scale = 1,
                                 .keep = io->decoupled ? (float)(1 - lr * decay) : 1,
                                 .decay = io->decoupled ? 0 : hyper->weight_decay,
                                 .rate = hyper->lr,
                                 .squares = squares};
  if (hyper->clip_norm > 0) {
    call.scale = (float)clip_scale(cpu, &call);
  }
  if (io->kind == PBT_ADAM) {
    double *c = io->weight_sum;
    c[0] = (double)hyper->beta1 * c[0] + (1 - (double)hyper->beta1);
    c[1] = (double)hyper->beta2 * c[1] + (1 - (double)hyper->beta2);
    call.rate = (float)(lr / c[0]);
    call.inverse = (float)(1 / c[1]);
  }
  int64_t vectors = (io->n + CPU_LANES - 1) / CPU_LANES;
  pbt_cpu_threads_run(cpu->threads, cpu->kernels->update, &call, (int32_t)vectors);
  return PBT_OK;
}

static pbt_status repeat_cpu(struct pbt_backend *backend, uint64_t key, int64_t n,
                             struct pbt_step *step, pbt_status (*body)(void *context),
                             void *context) {
  (void)backend;
  (void)key;
  for (int64_t i = 0; i < n; i++) {
    PBT_TRY(body(context));
    step->step++;
  }
  return PBT_OK;
}

const struct pbt_backend_ops pbt_backend_cpu = {
    .name = "cpu",
    .deterministic = true,
    .host_memory = true,
    .open = open_cpu,
    .close = close_cpu,
    .describe = describe_cpu,
    .allocate = allocate_cpu,
    .release = release_cpu,
    .write = move_cpu,
    .read = move_cpu,
    .copy = copy_cpu,
    .finish = finish_cpu,
    .activation_bytes = pbt_cpu_activation_bytes,
    .activation_write = pbt_cpu_activation_write,
    .activation_read = pbt_cpu_activation_read,
    .data_open = pbt_cpu_data_open,
    .data_close = pbt_cpu_data_close,
    .gather = pbt_cpu_gather,
    .layer_open = pbt_cpu_layer_open,
    .layer_close = pbt_cpu_layer_close,
    .forward = pbt_cpu_forward,
    .backward = pbt_cpu_backward,
    .layer_describe = pbt_cpu_layer_describe,
    .loss = loss_cpu,
    .update = update_cpu,
    .repeat = repeat_cpu,
};
