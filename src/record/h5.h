/*
 * h5.h - the few lines around HDF5 that the files of record/ share.  Private to record/.
 *
 * Every library call is checked: PBT_TRY(PBT_H5(call, status, "what failed ...")) records
 * our words and the innermost entry of HDF5's error stack in one line.  Handles start at
 * -1 and are closed with pbt_h5_close under `done:`.  Attributes are fixed-size: scalars
 * or short lists, text as fixed-length UTF-8, so that they can live in a SWMR file.
 */
#ifndef PBT_RECORD_H5_H
#define PBT_RECORD_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Keeps HDF5 from printing and from cleaning up at exit; called before any other use. */
void pbt_h5_quiet(void);

/* pbt_fail with HDF5's own reason behind it; to be called right after the failed call. */
pbt_status pbt_h5_fail(pbt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A handle, herr_t or htri_t as a status. */
#define PBT_H5(result, status, ...)                                                      \
  ((result) >= 0 ? PBT_OK : pbt_h5_fail((status), __VA_ARGS__))

/* Any handle but a file's; -1 is fine, and what it becomes. */
void pbt_h5_close(hid_t *id);
/* A file's; false if HDF5 says that it failed. */
bool pbt_h5_close_file(hid_t *file);

/* Files, groups, data sets and attributes open in this process: for tests. */
int64_t pbt_h5_balance(void);

/* Fixed-length UTF-8, NUL-padded, at least one byte long. */
hid_t pbt_h5_text_type(size_t bytes);

/* An access list for formats from HDF5 `low` up, 1.10 at most, or -1. */
hid_t pbt_h5_access(H5F_libver_t low);
/* A creation list of H5P_FILE_CREATE, H5P_GROUP_CREATE or H5P_DATASET_CREATE without time
 * stamps: the same content gives the same bytes. */
hid_t pbt_h5_timeless(hid_t class_id);

/* Writing attributes; PBT_ERR_IO. */
pbt_status pbt_h5_put_text(hid_t object, const char *name, const char *text);
pbt_status pbt_h5_put_integer(hid_t object, const char *name, int64_t value);
pbt_status pbt_h5_put_unsigned(hid_t object, const char *name, uint64_t value);
pbt_status pbt_h5_put_reals(hid_t object, const char *name, const double value[],
                            size_t n); // n = 0: a scalar
pbt_status pbt_h5_put_texts(hid_t object, const char *name, const void *text,
                            size_t bytes, size_t n); // n texts of `bytes` each

/* Reading them; PBT_ERR_DATA if missing, of another kind or beyond the stated size. */
pbt_status pbt_h5_get_text(hid_t object, const char *name, char **text); // counted
pbt_status pbt_h5_get_integer(hid_t object, const char *name, int64_t *value);
pbt_status pbt_h5_get_real(hid_t object, const char *name, double *value);
pbt_status pbt_h5_get_reals(hid_t object, const char *name, double value[], size_t room,
                            size_t *n);
pbt_status pbt_h5_get_texts(hid_t object, const char *name, void *text, size_t bytes,
                            size_t room, size_t *n);

#endif
