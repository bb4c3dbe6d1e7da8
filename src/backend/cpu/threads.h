/*
 * threads.h - a small persistent pool that splits a range of units.
 *
 * Units are independent and each is computed wholly by one thread, so results do not
 * depend on the number of threads.  One caller at a time.
 */
#ifndef PBT_BACKEND_CPU_THREADS_H
#define PBT_BACKEND_CPU_THREADS_H

#include <stdint.h>

#include "base/status.h"

/* Units begin .. end - 1; `thread` (from 0) names the scratch memory to use. */
typedef void cpu_range(const void *call, int32_t begin, int32_t end, int32_t thread);

struct cpu_threads;

/* n - 1 threads beside the caller's.  *threads is NULL where n is 1. */
pbt_status pbt_cpu_threads_open(int32_t n, struct cpu_threads **threads);
void pbt_cpu_threads_close(struct cpu_threads *threads); // NULL is fine

/* Runs `range` over 0 .. units - 1 and returns when all are done.  threads may be NULL.
 */
void pbt_cpu_threads_run(struct cpu_threads *threads, cpu_range *range, const void *call,
                         int32_t units);

#endif
