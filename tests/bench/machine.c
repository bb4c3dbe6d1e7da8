/*
 * The floor under a step is its multiply-adds at the rate this core sustains in
 * registers.  The rate is measured, not looked up, because clocks move: 12 independent
 * chains hide the latency, and the loop has no memory access.
 */
#include "machine.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static bool cpu_clock;

void machine_use_cpu_clock(void) {
  cpu_clock = true;
}

double machine_seconds(void) {
  struct timespec now;
  if (!cpu_clock) {
    return pbt_seconds();
  }
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void machine_name(char *text, size_t bytes) {
  snprintf(text, bytes, "unknown");
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[256];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    char *value = strstr(line, ": ");
    if (strncmp(line, "model name", 10) == 0 && value != NULL) {
      value[strcspn(value, "\n")] = '\0';
      snprintf(text, bytes, "%s", value + 2);
      break;
    }
  }
  if (file != NULL) {
    fclose(file);
  }
}

/* About as long as a step, so that what interrupts one interrupts the other. */
enum { CHAINS = 12, ROUNDS = 400000 };

/* Defines NAME: CHAINS x ROUNDS fused multiply-adds of BYTES wide vectors. */
#define PEAK(NAME, BYTES, TARGET, OPERATION)                                             \
  typedef float NAME##_vector __attribute__((vector_size(BYTES)));                       \
  TARGET static double NAME(void) {                                                      \
    NAME##_vector acc[CHAINS];                                                           \
    NAME##_vector a, b;                                                                  \
    for (size_t i = 0; i < BYTES / 4; i++) {                                             \
      a[i] = 0.999F;                                                                     \
      b[i] = 0.001F;                                                                     \
    }                                                                                    \
    _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) {                          \
      acc[c] = a * (float)c;                                                             \
    }                                                                                    \
    double start = machine_seconds();                                                    \
    for (int i = 0; i < ROUNDS; i++) {                                                   \
      _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) {                        \
        OPERATION;                                                                       \
      }                                                                                  \
    }                                                                                    \
    _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) {                          \
      __asm__ volatile("" : : "x"(acc[c]));                                              \
    }                                                                                    \
    double seconds = machine_seconds() - start;                                          \
    return 2.0 * CHAINS * ROUNDS * (BYTES / 4) / seconds;                                \
  }

#define ASM_FMA __asm__("vfmadd213ps %2, %1, %0" : "+v"(acc[c]) : "v"(a), "v"(b))

#if defined __x86_64__
PEAK(peak_avx512, 64, __attribute__((target("avx512f"))), ASM_FMA)
PEAK(peak_avx2, 32, __attribute__((target("avx2,fma"))), ASM_FMA)
#endif
PEAK(peak_generic, 16, , acc[c] = acc[c] * a + b)

double machine_flops(const char *isa) {
#if defined __x86_64__
  if (strcmp(isa, "avx512") == 0 && __builtin_cpu_supports("avx512f")) {
    return peak_avx512();
  }
  if (strcmp(isa, "avx2") == 0 && __builtin_cpu_supports("avx2")) {
    return peak_avx2();
  }
#endif
  return strcmp(isa, "generic") == 0 ? peak_generic() : 0;
}

/* Adds up `bytes` bytes `times` times over, four sums side by side. */
#if defined __x86_64__
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static double
sum_up(const double *data, size_t n, int times) {
  double sum[32] = {0};
  for (int t = 0; t < times; t++) {
    for (size_t i = 0; i < n; i += 32) {
      for (size_t j = 0; j < 32; j++) {
        sum[j] += data[i + j];
      }
    }
    __asm__ volatile("" : : : "memory");
  }
  double total = 0;
  for (size_t j = 0; j < 32; j++) {
    total += sum[j];
  }
  return total;
}

static double read_rate(double *data, size_t bytes, int times) {
  double start = machine_seconds();
  volatile double total = sum_up(data, bytes / sizeof *data, times);
  (void)total;
  return (double)bytes * times / (machine_seconds() - start);
}

enum { MEMORY_BYTES = 64 << 20, CACHE_BYTES = 256 << 10 };

bool machine_open(struct machine *machine) {
  machine->data = aligned_alloc(64, MEMORY_BYTES);
  if (machine->data != NULL) {
    memset(machine->data, 0, MEMORY_BYTES);
  }
  return machine->data != NULL;
}

void machine_close(struct machine *machine) {
  free(machine->data);
}

double machine_memory(struct machine *machine) {
  return read_rate(machine->data, MEMORY_BYTES, 1);
}

double machine_cache(struct machine *machine) {
  read_rate(machine->data, CACHE_BYTES, 1);
  return read_rate(machine->data, CACHE_BYTES, 40);
}
