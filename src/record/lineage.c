/*
 * lineage.c - writes lineage.h5 so that no death of the process can spoil it.
 *
 * HDF5's own files do not survive a kill; in SWMR mode they do, if nothing is created
 * while they grow and every row is flushed.  So all data sets are made, and on a resume
 * the old rows copied, under another name; that file is closed, synced, opened again for
 * single-writer-multiple-readers, and only then gets its name.  There is never a
 * half-made lineage.h5.
 *
 * A generation is one chunk of each data set, written once and never touched again: what
 * was written cannot be torn by what comes later, and a reader never meets a chunk in the
 * middle of a rewrite.  (Long runs are the exception: see
 * pbt_lineage_chunk.)  Its row of
 * `committed` is written and flushed last: the rows of a generation without one were left
 * by a death, and the next launch drops them.
 *
 * HDF5's index of the chunks is rewritten with every generation, and a SIGKILL can cut a
 * write short where one page of memory ends: then blocks that lay across two pages were
 * torn (in 1 kill of 100), and with them old generations.  So the file's space is handed
 * out in pages of 4 kB that small blocks do not leave, and no block is larger.
 *
 * After a failed write the file is not touched again, not even closed (on a full disk
 * H5Fclose writes what it can, leaves its tables in disorder and may return 0); what was
 * committed stays readable.
 *
 * Fault site: lineage_commit (after a generation's rows, before the commit).
 */
#include "record/lineage.h"

#include "base/fault.h"  // pbt_fault
#include "base/file.h"   // pbt_file_rename
#include "base/log.h"    // pbt_warn
#include "base/memory.h" // pbt_mem_alloc
#include "record/lineage_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct pbt_lineage {
  char path[PBT_PATH_BYTES];
  hid_t file;
  int64_t n_now;    // members now; rows of the others are absent
  int64_t n_member; // columns
  int64_t chunk;    // rows of one
  int64_t n_generation;
  int32_t n_hparam;
  struct pbt_hparam hparam[PBT_MAX_HPARAM];
  size_t n_column;
  struct pbt_column column[PBT_COLUMNS_MAX];
  hid_t set[PBT_COLUMNS_MAX], native[PBT_COLUMNS_MAX];
  hid_t committed, commit_type;
  hid_t row_space; // of the n_member items in memory
  hid_t transfer;
  char *item;                  // n_member x PBT_COLUMN_ITEM bytes
  struct pbt_lineage_row *row; // (n_member) of a generation, filled up
  bool broken;                 // a write failed: hands off
};

static pbt_status beside(const char *path, const char *ending,
                         char name[PBT_PATH_BYTES]) {
  if (snprintf(name, PBT_PATH_BYTES, "%s%s", path, ending) >= PBT_PATH_BYTES) {
    return pbt_fail(PBT_ERR_DATA, "path too long: %s%s", path, ending);
  }
  return PBT_OK;
}

/* ---- making the file ---- */

static pbt_status put_facts(hid_t file, const struct pbt_lineage_info *info,
                            int64_t columns) {
  char name[PBT_MAX_HPARAM][PBT_HPARAM_NAME] = {0};
  for (int32_t i = 0; i < info->n_hparam; i++) {
    snprintf(name[i], sizeof name[i], "%s", info->hparam[i].name);
  }
  PBT_TRY(pbt_h5_put_integer(file, "schema_version", PBT_LINEAGE_SCHEMA));
  PBT_TRY(pbt_h5_put_text(file, "version", info->version));
  PBT_TRY(pbt_h5_put_text(file, "job_name", info->job_name));
  PBT_TRY(pbt_h5_put_text(file, "job", info->job_text));
  PBT_TRY(pbt_h5_put_text(file, "metric", info->metric));
  PBT_TRY(pbt_h5_put_text(file, "sense", info->maximize ? "maximize" : "minimize"));
  PBT_TRY(pbt_h5_put_unsigned(file, "seed", info->seed));
  PBT_TRY(pbt_h5_put_integer(file, "members", columns));
  PBT_TRY(pbt_h5_put_integer(file, "n_hparam", info->n_hparam));
  return info->n_hparam == 0 ? PBT_OK
                             : pbt_h5_put_texts(file, "hparams", name, sizeof name[0],
                                                (size_t)info->n_hparam);
}

static pbt_status put_hparam(hid_t set, const struct pbt_hparam *hparam) {
  PBT_TRY(pbt_h5_put_text(set, "kind", pbt_kind_name(hparam->kind)));
  PBT_TRY(pbt_h5_put_reals(set, "low", &hparam->low, 0));
  PBT_TRY(pbt_h5_put_reals(set, "high", &hparam->high, 0));
  PBT_TRY(pbt_h5_put_reals(set, "start_low", &hparam->start_low, 0));
  PBT_TRY(pbt_h5_put_reals(set, "start_high", &hparam->start_high, 0));
  return hparam->kind != PBT_CHOICE
             ? PBT_OK
             : pbt_h5_put_reals(set, "options", hparam->option, (size_t)hparam->n_option);
}

/* A growing data set of rows of n items (n = 0: one compound).  `fill` is what a row
 * holds that was never written. */
static pbt_status make_set(hid_t file, const char *name, hid_t type, int64_t n,
                           int64_t chunk_of, hid_t fill_type, const void *fill,
                           hid_t *set) {
  pbt_status status;
  const hsize_t dim[2] = {0, (hsize_t)n}, most[2] = {H5S_UNLIMITED, (hsize_t)n};
  const hsize_t chunk[2] = {(hsize_t)chunk_of, (hsize_t)n};
  int rank = n == 0 ? 1 : 2;
  hid_t space = -1, creation = -1;
  PBT_TRY_TO(done, status,
             PBT_H5(space = H5Screate_simple(rank, dim, most), PBT_ERR_INTERNAL,
                    "cannot make data set %s", name));
  PBT_TRY_TO(done, status,
             PBT_H5(creation = pbt_h5_timeless(H5P_DATASET_CREATE), PBT_ERR_INTERNAL,
                    "cannot make data set %s", name));
  bool set_up = H5Pset_chunk(creation, rank, chunk) >= 0 &&
                H5Pset_fletcher32(creation) >= 0 &&
                (fill == NULL || H5Pset_fill_value(creation, fill_type, fill) >= 0);
  PBT_TRY_TO(done, status,
             PBT_H5(set_up ? 0 : -1, PBT_ERR_INTERNAL, "cannot make data set %s", name));
  PBT_TRY_TO(done, status,
             PBT_H5(*set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation,
                                      H5P_DEFAULT),
                    PBT_ERR_IO, "cannot make data set %s", name));
done:
  pbt_h5_close(&creation);
  pbt_h5_close(&space);
  return status;
}

static pbt_status make_groups(hid_t file) {
  static const char *const name[] = {"seconds", "hparam", "hparam_next", "hparam_move"};
  for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
    hid_t creation = pbt_h5_timeless(H5P_GROUP_CREATE);
    hid_t group = H5Gcreate2(file, name[i], H5P_DEFAULT, creation, H5P_DEFAULT);
    pbt_status status = PBT_H5(group, PBT_ERR_IO, "cannot make group %s", name[i]);
    pbt_h5_close(&group);
    pbt_h5_close(&creation);
    PBT_TRY(status);
  }
  return PBT_OK;
}

static pbt_status put_starts(hid_t file, const struct pbt_lineage_start start[],
                             int64_t n) {
  pbt_status status;
  hid_t set = -1, stored = -1, native = -1;
  const hsize_t dim = (hsize_t)n;
  PBT_TRY_TO(done, status,
             PBT_H5(stored = pbt_start_type_open(false), PBT_ERR_INTERNAL,
                    "cannot make data set starts"));
  PBT_TRY_TO(done, status,
             PBT_H5(native = pbt_start_type_open(true), PBT_ERR_INTERNAL,
                    "cannot make data set starts"));
  PBT_TRY_TO(done, status, make_set(file, "starts", stored, 0, 1, -1, NULL, &set));
  PBT_TRY_TO(done, status,
             PBT_H5(H5Dset_extent(set, &dim), PBT_ERR_IO, "cannot write starts"));
  PBT_TRY_TO(done, status,
             PBT_H5(H5Dwrite(set, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, start),
                    PBT_ERR_IO, "cannot write starts"));
done:
  pbt_h5_close(&native);
  pbt_h5_close(&stored);
  pbt_h5_close(&set);
  return status;
}

static pbt_status make_columns(struct pbt_lineage *it) {
  for (size_t i = 0; i < it->n_column; i++) {
    const struct pbt_column *column = &it->column[i];
    hid_t type = pbt_column_type_open(column->type, false);
    PBT_TRY(PBT_H5(type, PBT_ERR_INTERNAL, "cannot make data set %s", column->name));
    pbt_status status = make_set(it->file, column->name, type, it->n_member, it->chunk,
                                 -1, NULL, &it->set[i]);
    pbt_h5_close(&type);
    PBT_TRY(status);
    if (column->hparam >= 0) {
      PBT_TRY(put_hparam(it->set[i], &it->hparam[column->hparam]));
    }
  }
  static const struct pbt_lineage_commit never = {.generation = -1};
  hid_t type = pbt_commit_type_open(false);
  pbt_status status = PBT_H5(type, PBT_ERR_INTERNAL, "cannot make data set committed");
  if (status == PBT_OK) {
    status = make_set(it->file, "committed", type, 0, it->chunk, it->commit_type, &never,
                      &it->committed);
  }
  pbt_h5_close(&type);
  return status;
}

/* ---- rows ---- */

/* One item of a row as it is stored: a choice by the number it stands for. */
static void take_item(const struct pbt_lineage *it, const struct pbt_column *column,
                      const struct pbt_lineage_row *row, char *item) {
  memcpy(item, (const char *)row + column->offset, column->bytes);
  if (column->hparam >= 0) {
    double value;
    memcpy(&value, item, sizeof value);
    value = pbt_hparam_effective(&it->hparam[column->hparam], value);
    memcpy(item, &value, sizeof value);
  }
}

/* Row `generation` of a data set, which grows to hold it. */
static pbt_status write_row(const struct pbt_lineage *it, hid_t set, hid_t native,
                            hid_t memory, int64_t n, const char *name, const void *data) {
  const hsize_t dim[2] = {(hsize_t)it->n_generation + 1, (hsize_t)n};
  PBT_TRY(PBT_H5(H5Dset_extent(set, dim), PBT_ERR_IO, "cannot write %s of %s", name,
                 it->path));
  hid_t space = pbt_select_row(set, it->n_generation, n);
  pbt_status status = PBT_H5(space, PBT_ERR_IO, "cannot write %s of %s", name, it->path);
  if (status == PBT_OK) {
    status = PBT_H5(H5Dwrite(set, native, memory, space, it->transfer, data), PBT_ERR_IO,
                    "cannot write %s of %s", name, it->path);
  }
  pbt_h5_close(&space);
  return status;
}

static pbt_status flush_set(const struct pbt_lineage *it, hid_t set, const char *name) {
  return PBT_H5(H5Dflush(set), PBT_ERR_IO, "cannot write %s of %s", name, it->path);
}

static pbt_status write_rows(struct pbt_lineage *it, const struct pbt_lineage_row row[],
                             bool flush) {
  for (size_t i = 0; i < it->n_column; i++) {
    const struct pbt_column *column = &it->column[i];
    for (int64_t m = 0; m < it->n_member; m++) {
      take_item(it, column, &row[m], it->item + (size_t)m * column->bytes);
    }
    PBT_TRY(write_row(it, it->set[i], it->native[i], it->row_space, it->n_member,
                      column->name, it->item));
    if (flush) {
      PBT_TRY(flush_set(it, it->set[i], column->name));
    }
  }
  return PBT_OK;
}

static pbt_status write_commit(struct pbt_lineage *it,
                               const struct pbt_lineage_commit *commit, bool flush) {
  hid_t memory = H5Screate(H5S_SCALAR);
  pbt_status status =
      write_row(it, it->committed, it->commit_type, memory, 0, "committed", commit);
  pbt_h5_close(&memory);
  if (status == PBT_OK && flush) {
    status = flush_set(it, it->committed, "committed");
  }
  return status;
}

static pbt_status append(struct pbt_lineage *it, const struct pbt_lineage_row row[],
                         const struct pbt_lineage_commit *commit) {
  PBT_TRY(write_rows(it, row, true));
  PBT_TRY(pbt_fault("lineage_commit", PBT_ERR_IO));
  return write_commit(it, commit, true);
}

pbt_status pbt_lineage_append(struct pbt_lineage *lineage,
                              const struct pbt_lineage_row row[],
                              const struct pbt_lineage_commit *commit) {
  if (commit->generation != lineage->n_generation) {
    return PBT_BUG("a generation of the lineage was left out or came twice");
  }
  if (lineage->broken) {
    return pbt_fail(PBT_ERR_IO, "%s cannot be written since an earlier failure",
                    lineage->path);
  }
  memcpy(lineage->row, row, (size_t)lineage->n_now * sizeof *row);
  pbt_status status = append(lineage, lineage->row, commit);
  lineage->broken = status != PBT_OK;
  lineage->n_generation += status == PBT_OK;
  return status;
}

/* ---- opening and closing ---- */

static void close_sets(struct pbt_lineage *it) {
  for (size_t i = 0; i < PBT_COLUMNS_MAX; i++) {
    pbt_h5_close(&it->set[i]);
  }
  pbt_h5_close(&it->committed);
}

static void free_all(struct pbt_lineage *it) {
  close_sets(it);
  for (size_t i = 0; i < PBT_COLUMNS_MAX; i++) {
    pbt_h5_close(&it->native[i]);
  }
  pbt_h5_close(&it->commit_type);
  pbt_h5_close(&it->row_space);
  pbt_h5_close(&it->transfer);
  pbt_h5_close_file(&it->file);
  pbt_mem_free(it->row);
  pbt_mem_free(it->item);
  pbt_mem_free(it);
}

static pbt_status set_up(struct pbt_lineage *it, const char *path,
                         const struct pbt_lineage_info *info, int64_t columns,
                         int64_t generations) {
  it->file = it->committed = it->commit_type = it->row_space = it->transfer = -1;
  for (size_t i = 0; i < PBT_COLUMNS_MAX; i++) {
    it->set[i] = it->native[i] = -1;
  }
  if (info->n_member < 1 || info->n_member > PBT_LINEAGE_MEMBERS || info->n_hparam < 0 ||
      info->n_hparam > PBT_MAX_HPARAM) {
    return PBT_BUG("a lineage of no or too many members or hyperparameters");
  }
  it->n_now = info->n_member;
  it->n_member = columns;
  it->chunk = pbt_lineage_chunk(columns, generations);
  it->n_hparam = info->n_hparam;
  memcpy(it->hparam, info->hparam, (size_t)info->n_hparam * sizeof *it->hparam);
  it->n_column = pbt_lineage_columns(it->hparam, it->n_hparam, it->column);
  PBT_TRY(beside(path, "", it->path));
  PBT_TRY(PBT_NEW(it->n_member * PBT_COLUMN_ITEM, &it->item));
  PBT_TRY(PBT_NEW(it->n_member, &it->row));
  for (int64_t m = it->n_now; m < it->n_member; m++) {
    pbt_lineage_absent(it->hparam, it->n_hparam, (int32_t)m, &it->row[m]);
  }
  const hsize_t n = (hsize_t)it->n_member;
  PBT_TRY(PBT_H5(it->row_space = H5Screate_simple(1, &n, NULL), PBT_ERR_INTERNAL,
                 "cannot set up HDF5"));
  PBT_TRY(PBT_H5(it->commit_type = pbt_commit_type_open(true), PBT_ERR_INTERNAL,
                 "cannot set up HDF5"));
  PBT_TRY(PBT_H5(it->transfer = pbt_lineage_transfer(), PBT_ERR_INTERNAL,
                 "cannot set up HDF5"));
  for (size_t i = 0; i < it->n_column; i++) {
    PBT_TRY(PBT_H5(it->native[i] = pbt_column_type_open(it->column[i].type, true),
                   PBT_ERR_INTERNAL, "cannot set up HDF5"));
  }
  return PBT_OK;
}

/* So many columns, and at least so many generations. */
static pbt_status new_lineage(const char *path, const struct pbt_lineage_info *info,
                              int64_t columns, int64_t generations,
                              struct pbt_lineage **lineage) {
  if (generations < info->n_generation) {
    generations = info->n_generation;
  }
  *lineage = NULL;
  pbt_h5_quiet();
  struct pbt_lineage *it;
  PBT_TRY(PBT_NEW(1, &it));
  pbt_status status = set_up(it, path, info, columns, generations);
  if (status != PBT_OK) {
    free_all(it);
    return status;
  }
  *lineage = it;
  return PBT_OK;
}

/* All that a file holds before its first own generation. */
static pbt_status make_file(struct pbt_lineage *it, const char *path,
                            const struct pbt_lineage_info *info,
                            const struct pbt_lineage_start start[], int64_t n_start) {
  hid_t access = pbt_lineage_access(), creation = pbt_lineage_creation();
  pbt_status status = PBT_H5(it->file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access),
                             PBT_ERR_IO, "cannot create %s", path);
  pbt_h5_close(&creation);
  pbt_h5_close(&access);
  PBT_TRY(status);
  PBT_TRY(put_facts(it->file, info, it->n_member));
  PBT_TRY(make_groups(it->file));
  PBT_TRY(make_columns(it));
  return put_starts(it->file, start, n_start);
}

static pbt_status sync_file(hid_t file, const char *path) {
  PBT_TRY(PBT_H5(H5Fflush(file, H5F_SCOPE_GLOBAL), PBT_ERR_IO, "cannot write %s", path));
  void *handle;
  PBT_TRY(PBT_H5(H5Fget_vfd_handle(file, H5P_DEFAULT, &handle), PBT_ERR_INTERNAL,
                 "cannot sync %s", path));
  return fsync(*(int *)handle) == 0 ? PBT_OK
                                    : pbt_fail_errno(PBT_ERR_IO, "cannot write %s", path);
}

/* Closed and opened again as what it will be: one writer, many readers. */
static pbt_status go_live(struct pbt_lineage *it, const char *path) {
  PBT_TRY(sync_file(it->file, path));
  close_sets(it);
  PBT_TRY(pbt_h5_close_file(&it->file)
              ? PBT_OK
              : pbt_h5_fail(PBT_ERR_IO, "cannot write %s", path));
  hid_t access = pbt_lineage_access();
  pbt_status status =
      PBT_H5(it->file = H5Fopen(path, H5F_ACC_RDWR | H5F_ACC_SWMR_WRITE, access),
             PBT_ERR_IO, "cannot open %s for writing", path);
  pbt_h5_close(&access);
  PBT_TRY(status);
  for (size_t i = 0; i < it->n_column; i++) {
    PBT_TRY(PBT_H5(it->set[i] = H5Dopen2(it->file, it->column[i].name, H5P_DEFAULT),
                   PBT_ERR_IO, "cannot open %s of %s", it->column[i].name, path));
  }
  return PBT_H5(it->committed = H5Dopen2(it->file, "committed", H5P_DEFAULT), PBT_ERR_IO,
                "cannot open committed of %s", path);
}

pbt_status pbt_lineage_create(const char *path, const struct pbt_lineage_info *info,
                              const struct pbt_lineage_start *start,
                              struct pbt_lineage **lineage) {
  char making[PBT_PATH_BYTES];
  *lineage = NULL;
  PBT_TRY(beside(path, ".new", making));
  if (pbt_file_exists(path)) {
    return pbt_fail(PBT_ERR_IO, "%s is there already", path);
  }
  struct pbt_lineage *it;
  PBT_TRY(new_lineage(path, info, info->n_member, 0, &it));
  pbt_status status = make_file(it, making, info, start, 1);
  if (status == PBT_OK) {
    status = go_live(it, making);
  }
  if (status == PBT_OK) {
    status = pbt_file_rename(making, path);
  }
  if (status != PBT_OK) {
    free_all(it);
    unlink(making);
    return status;
  }
  *lineage = it;
  return PBT_OK;
}

pbt_status pbt_lineage_sync(struct pbt_lineage *lineage) {
  if (lineage->broken) {
    return pbt_fail(PBT_ERR_IO, "%s cannot be written since an earlier failure",
                    lineage->path);
  }
  pbt_status status = sync_file(lineage->file, lineage->path);
  lineage->broken = status != PBT_OK;
  PBT_TRY(status);
  char before[PBT_PATH_BYTES];
  PBT_TRY(beside(lineage->path, ".prev", before));
  return pbt_file_remove(before);
}

pbt_status pbt_lineage_close(struct pbt_lineage *lineage) {
  if (lineage == NULL) {
    return PBT_OK;
  }
  if (lineage->broken) { // HDF5 keeps the file until the process ends
    pbt_mem_free(lineage->row);
    pbt_mem_free(lineage->item);
    pbt_mem_free(lineage);
    return PBT_OK;
  }
  pbt_status status = PBT_H5(H5Fflush(lineage->file, H5F_SCOPE_GLOBAL), PBT_ERR_IO,
                             "cannot write %s", lineage->path);
  close_sets(lineage);
  if (!pbt_h5_close_file(&lineage->file) && status == PBT_OK) {
    status = pbt_h5_fail(PBT_ERR_IO, "cannot write %s", lineage->path);
  }
  free_all(lineage);
  return status;
}

/* ---- going on after a checkpoint ---- */

static bool same_population(const struct pbt_lineage_info *a,
                            const struct pbt_lineage_info *b) {
  bool same = a->n_hparam == b->n_hparam && a->seed == b->seed &&
              a->maximize == b->maximize && strcmp(a->metric, b->metric) == 0;
  for (int32_t i = 0; same && i < a->n_hparam; i++) {
    const struct pbt_hparam *x = &a->hparam[i], *y = &b->hparam[i];
    same = strcmp(x->name, y->name) == 0 && x->kind == y->kind &&
           (x->kind != PBT_CHOICE || x->n_option == y->n_option);
  }
  return same;
}

/* An old file that holds what is to be kept, and everybody unless it may be `narrow`. */
static pbt_status open_old(const char *path, const struct pbt_lineage_info *info,
                           int64_t keep, bool narrow, struct pbt_lineage_reader **old) {
  struct pbt_lineage_shape shape;
  PBT_TRY(pbt_lineage_open(path, old, &shape));
  pbt_status status = PBT_OK;
  if (!same_population(pbt_lineage_reader_info(*old), info) ||
      (!narrow && shape.n_member < info->n_member)) {
    status = pbt_fail(PBT_ERR_DATA, "%s belongs to another population", path);
  } else if (shape.n_generation < keep) {
    status = pbt_fail(PBT_ERR_DATA,
                      "%s holds %lld generations, the checkpoint was made after %lld",
                      path, (long long)shape.n_generation, (long long)keep);
  }
  if (status != PBT_OK) {
    pbt_lineage_reader_close(*old);
    *old = NULL;
  }
  return status;
}

/* lineage.h5, or else the one that the last resume put aside; the first one's failure is
 * the one that counts. */
static pbt_status open_either(const char *path, const struct pbt_lineage_info *info,
                              int64_t keep, bool narrow, struct pbt_lineage_reader **old,
                              bool *is_prev) {
  char before[PBT_PATH_BYTES], message[PBT_ERROR_BYTES];
  *is_prev = false;
  pbt_status status = open_old(path, info, keep, narrow, old);
  PBT_TRY(beside(path, ".prev", before));
  if (status == PBT_OK || !pbt_file_exists(before)) {
    return status;
  }
  snprintf(message, sizeof message, "%s", pbt_error());
  pbt_error_clear();
  if (open_old(before, info, keep, narrow, old) != PBT_OK) {
    pbt_error_set(message);
    return status;
  }
  pbt_warn("%s; going on from %s", message, before);
  *is_prev = true;
  return PBT_OK;
}

static pbt_status copy_rows(struct pbt_lineage *it, struct pbt_lineage_reader *old,
                            int64_t keep, const struct pbt_lineage_row resized[]) {
  int64_t n_old = pbt_lineage_reader_info(old)->n_member;
  struct pbt_lineage_row *row;
  PBT_TRY(PBT_NEW(it->n_member, &row));
  for (int64_t m = n_old; m < it->n_member; m++) {
    pbt_lineage_absent(it->hparam, it->n_hparam, (int32_t)m, &row[m]);
  }
  pbt_status status = PBT_OK;
  for (; status == PBT_OK && it->n_generation < keep; it->n_generation++) {
    struct pbt_lineage_commit commit;
    bool changed = resized != NULL && it->n_generation == keep - 1;
    status = pbt_lineage_read(old, it->n_generation, row, &commit);
    if (status == PBT_OK) {
      status = write_rows(it, changed ? resized : row, false);
    }
    if (status == PBT_OK) {
      status = write_commit(it, &commit, false);
    }
  }
  pbt_mem_free(row);
  return status;
}

/* The old launches and this one: every launch makes a file, and writes them once. */
static pbt_status all_starts(struct pbt_lineage_reader *old,
                             const struct pbt_lineage_start *start,
                             struct pbt_lineage_start **all, int64_t *n) {
  struct pbt_lineage_start *before;
  PBT_TRY(pbt_lineage_read_starts(old, &before, n));
  pbt_status status = PBT_NEW(*n + 1, all);
  if (status == PBT_OK) {
    memcpy(*all, before, (size_t)*n * sizeof *before);
    (*all)[(*n)++] = *start;
  }
  pbt_mem_free(before);
  return status;
}

pbt_status pbt_lineage_resume(const char *path, const struct pbt_lineage_info *info,
                              const struct pbt_lineage_start *start, int64_t keep,
                              const struct pbt_lineage_row resized[],
                              struct pbt_lineage **lineage) {
  char making[PBT_PATH_BYTES], before[PBT_PATH_BYTES];
  struct pbt_lineage *it = NULL;
  struct pbt_lineage_reader *old = NULL;
  struct pbt_lineage_start *all = NULL;
  int64_t n_start = 0;
  bool from_prev = false;
  pbt_status status;
  *lineage = NULL;
  pbt_h5_quiet();
  PBT_TRY(beside(path, ".new", making));
  PBT_TRY(beside(path, ".prev", before));
  PBT_TRY_TO(done, status,
             open_either(path, info, keep, resized != NULL, &old, &from_prev));
  int64_t columns = pbt_lineage_reader_info(old)->n_member;
  columns = columns > info->n_member ? columns : info->n_member;
  PBT_TRY_TO(done, status, new_lineage(path, info, columns, keep, &it));
  PBT_TRY_TO(done, status, all_starts(old, start, &all, &n_start));
  PBT_TRY_TO(done, status, make_file(it, making, info, all, n_start));
  PBT_TRY_TO(done, status, copy_rows(it, old, keep, resized));
  PBT_TRY_TO(done, status, go_live(it, making));
  if (!from_prev) { // else it is there, and what stands at path is no good
    PBT_TRY_TO(done, status, pbt_file_link(path, before));
  }
  PBT_TRY_TO(done, status, pbt_file_rename(making, path));
  *lineage = it;
done:
  pbt_lineage_reader_close(old);
  pbt_mem_free(all);
  if (status != PBT_OK && it != NULL) {
    free_all(it);
    unlink(making);
  }
  return status;
}
