/* machine.h - what one core of this machine can do, measured. */
#ifndef PBT_TESTS_BENCH_MACHINE_H
#define PBT_TESTS_BENCH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds of the clock that all measures here use: time as it passes, or, after
 * machine_use_cpu_clock(), the time that this thread was running, which is what a machine
 * with other work to do can still tell. */
double machine_seconds(void);
void machine_use_cpu_clock(void);

/* "AMD EPYC", from /proc/cpuinfo; "unknown" elsewhere. */
void machine_name(char *text, size_t bytes);

/* FLOP/s of multiply-adds in registers with this instruction set's widest vectors; 0 if
 * the name is unknown or it cannot run here. */
double machine_flops(const char *isa);

/* Memory to measure with; false if there is none. */
struct machine {
  double *data;
};
bool machine_open(struct machine *machine);
void machine_close(struct machine *machine);

/* Bytes/s that one core reads from memory (64 MiB) and from its second-level cache
 * (256 KiB). */
double machine_memory(struct machine *machine);
double machine_cache(struct machine *machine);

#endif
