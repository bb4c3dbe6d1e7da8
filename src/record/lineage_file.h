/*
 * lineage_file.h - what the writer and the reader of lineage.h5 agree on: its data sets,
 * as a table.  Private to record/.
 */
#ifndef PBT_RECORD_LINEAGE_FILE_H
#define PBT_RECORD_LINEAGE_FILE_H

#include "record/h5.h"
#include "record/lineage.h"

enum {
  PBT_COLUMNS_FIXED = 10 + PBT_PHASES,
  PBT_COLUMNS_MAX = PBT_COLUMNS_FIXED + 3 * PBT_MAX_HPARAM,
  PBT_COLUMN_ITEM = 8, // bytes of the largest item
  PBT_LINEAGE_MEMBERS = 1 << 20,
  PBT_LINEAGE_PAGE = 4096 // bytes of a page of memory: more than the rows of a chunk
};

enum pbt_column_type {
  PBT_COLUMN_F64,
  PBT_COLUMN_I64,
  PBT_COLUMN_I32,
  PBT_COLUMN_U64,
  PBT_COLUMN_EVENT,
  PBT_COLUMN_MOVE
};

/* One data set [generation, member], and where its item lies in a row. */
struct pbt_column {
  char name[PBT_HPARAM_NAME + 16]; // path in the file: "hparam_next/lr"
  enum pbt_column_type type;
  size_t bytes;   // of an item
  size_t offset;  // into struct pbt_lineage_row
  int32_t hparam; // whose value it is, or -1
};

/* All data sets of a file with these hyperparameters; returns how many. */
size_t pbt_lineage_columns(const struct pbt_hparam hparam[], int32_t n_hparam,
                           struct pbt_column column[PBT_COLUMNS_MAX]);

/* HDF5 types, as stored or as in memory; closed by the caller, -1 on failure. */
hid_t pbt_column_type_open(enum pbt_column_type type, bool native);
hid_t pbt_commit_type_open(bool native);
hid_t pbt_start_type_open(bool native);

/* The row of an array: a selection of [row, 0 .. n - 1], or of [row] for n = 0; -1 on
 * failure.  Closed by the caller. */
hid_t pbt_select_row(hid_t set, int64_t row, int64_t n);

/* Rows of a chunk.  HDF5's index of the chunks is in blocks that hold twice as many each
 * time, and the first of them outgrows a page after 8,176 chunks.  A run that is to have
 * more generations than that puts several in a chunk, as many as a page has room for: it
 * is written anew for each, whole or not at all. */
int64_t pbt_lineage_chunk(int64_t n_member, int64_t n_generation);

/* What a file is created with: its space handed out so that no block of up to a page lies
 * across two; see lineage.c. */
hid_t pbt_lineage_creation(void);

/* Access for lineage files: locks where the file system has them; gives up on damaged
 * metadata after milliseconds (HDF5's own patience for SWMR readers is years); no cache
 * of chunks: each is used once, and HDF5 walks over the cached ones whenever a set grows.
 */
hid_t pbt_lineage_access(void);

/* How rows are transferred: HDF5 would clear a megabyte for each row it has to convert.
 */
hid_t pbt_lineage_transfer(void);

#endif
