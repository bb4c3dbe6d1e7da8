/*
 * array_file.h - arrays of numbers in an HDF5 file that somebody else wrote.
 *
 * For data sets: read-only, a block of rows at a time.  What lies in the file is believed
 * only after it was looked at: numbers of a known type, sizes within bounds, stored in
 * the file itself (no external, linked or virtual storage), plain or compressed by what
 * HDF5 always has (gzip, shuffle, Fletcher32).  HDF5's own parser is not proof against a
 * file made with bad intent.  Local; one rank of a node reads at a time, without locks.
 */
#ifndef PBT_RECORD_ARRAY_FILE_H
#define PBT_RECORD_ARRAY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/tensor.h" // enum pbt_dtype

struct pbt_array_file;

enum { PBT_ARRAY_MAX_DIM = 4 };

struct pbt_array {
  bool real;                      // floating point of 2, 4 or 8 bytes; else integers
  bool is_byte;                   // integers of one byte without sign
  size_t item_bytes;              // of a number as stored
  int ndim;                       // 1 .. PBT_ARRAY_MAX_DIM
  int64_t dim[PBT_ARRAY_MAX_DIM]; // each 1 .. 2^31 - 1
  int64_t rows_at_once;           // along dim[0]: reads of so many from a multiple of it
                                  // decompress nothing twice
};

/* PBT_ERR_MISSING, or PBT_ERR_DATA if it is no HDF5 file. */
pbt_status pbt_array_file_open(const char *path, struct pbt_array_file **file);
void pbt_array_file_close(struct pbt_array_file *file); // NULL is fine

/* Whether there is anything of that name: "y", "train/x". */
bool pbt_array_file_has(const struct pbt_array_file *file, const char *name);

/* PBT_ERR_DATA, naming file and array, for whatever is not as said above. */
pbt_status pbt_array_file_look(const struct pbt_array_file *file, const char *name,
                               struct pbt_array *array);

/* Rows first .. first + n - 1 of an array that was looked at, as PBT_U8, PBT_I64 or
 * PBT_F32; HDF5 converts, and clips what does not fit. */
pbt_status pbt_array_file_read(const struct pbt_array_file *file, const char *name,
                               const struct pbt_array *array, int64_t first, int64_t n,
                               enum pbt_dtype dtype, void *to);

#endif
