/* machine.h - what one core of this machine can do, measured. */
#ifndef PBT_TESTS_BENCH_MACHINE_H
#define PBT_TESTS_BENCH_MACHINE_H

#include <stddef.h>

/* "AMD EPYC", from /proc/cpuinfo; "unknown" elsewhere. */
void machine_name(char *text, size_t bytes);

/* FLOP/s of multiply-adds in registers with this instruction set's widest vectors; 0 if
 * the name is unknown or it cannot run here. */
double machine_flops(const char *isa);

/* Bytes/s that one core reads from memory (64 MiB) and from its second-level cache
 * (256 KiB). */
double machine_memory(void);
double machine_cache(void);

#endif
