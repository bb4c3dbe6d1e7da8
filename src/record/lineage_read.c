/*
 * lineage_read.c - reads lineage.h5 while it grows, or after its writer died.
 *
 * A reader may meet metadata in the middle of a write: HDF5 sees that by checksum and
 * tries again, for years if one lets it.  We let it for milliseconds, and try the whole
 * operation again a few times ourselves; what still fails is damaged.  How many rows
 * there are, only `committed` says.
 */
#include "record/lineage.h"

#include "base/file.h"   // pbt_file_exists
#include "base/memory.h" // pbt_mem_alloc
#include "record/lineage_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 6, NAP_MS = 4, MAX_STARTS = 1 << 20 };

struct pbt_lineage_reader {
  char path[PBT_PATH_BYTES];
  hid_t file;
  struct pbt_lineage_info info;
  char *job_text, *job_name, *metric, *version; // owned, shown by info
  struct pbt_hparam hparam[PBT_MAX_HPARAM];
  size_t n_column;
  struct pbt_column column[PBT_COLUMNS_MAX];
  hid_t set[PBT_COLUMNS_MAX], native[PBT_COLUMNS_MAX];
  int64_t rows[PBT_COLUMNS_MAX]; // that we know of
  hid_t committed, commit_type;
  int64_t n_generation;
  hid_t row_space, transfer;
  char *item; // n_member x PBT_COLUMN_ITEM bytes
};

static void nap(int try) {
  const struct timespec time = {.tv_nsec = 1000000L * NAP_MS << try};
  nanosleep(&time, NULL); // 4, 8, ... ms: a quarter of a second in all
}

/* ---- opening ---- */

/* Is it an HDF5 file of the one kind that SWMR writes?  Then every piece of metadata has
 * a checksum; older kinds do not reach HDF5's parser at all. */
static pbt_status check_kind(const char *path) {
  static const unsigned char wanted[9] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 3};
  unsigned char magic[sizeof wanted] = {0};
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    pbt_status status = errno == ENOENT ? PBT_ERR_MISSING : PBT_ERR_IO;
    return pbt_fail_errno(status, "cannot open %s", path);
  }
  ssize_t n = read(file, magic, sizeof magic);
  close(file);
  return n == (ssize_t)sizeof magic && memcmp(magic, wanted, sizeof magic) == 0
             ? PBT_OK
             : pbt_fail(PBT_ERR_DATA, "%s is no lineage file", path);
}

static pbt_status get_hparam(hid_t set, struct pbt_hparam *hparam) {
  char *kind;
  PBT_TRY(pbt_h5_get_text(set, "kind", &kind));
  int k = PBT_REAL;
  while (k <= PBT_CHOICE && strcmp(kind, pbt_kind_name((enum pbt_kind)k)) != 0) {
    k++;
  }
  pbt_mem_free(kind);
  if (k > PBT_CHOICE) {
    return pbt_fail(PBT_ERR_DATA, "hyperparameter %s is of an unknown kind",
                    hparam->name);
  }
  hparam->kind = (enum pbt_kind)k;
  PBT_TRY(pbt_h5_get_real(set, "low", &hparam->low));
  PBT_TRY(pbt_h5_get_real(set, "high", &hparam->high));
  PBT_TRY(pbt_h5_get_real(set, "start_low", &hparam->start_low));
  PBT_TRY(pbt_h5_get_real(set, "start_high", &hparam->start_high));
  if (hparam->kind == PBT_CHOICE) {
    size_t n = 0;
    PBT_TRY(pbt_h5_get_reals(set, "options", hparam->option, PBT_MAX_OPTION, &n));
    hparam->n_option = (int32_t)n;
  }
  return PBT_OK;
}

static pbt_status get_names(struct pbt_lineage_reader *it) {
  char name[PBT_MAX_HPARAM][PBT_HPARAM_NAME];
  int64_t n_hparam = 0;
  size_t n = 0;
  PBT_TRY(pbt_h5_get_integer(it->file, "members", &it->info.n_member));
  PBT_TRY(pbt_h5_get_integer(it->file, "n_hparam", &n_hparam));
  if (it->info.n_member < 1 || it->info.n_member > PBT_LINEAGE_MEMBERS || n_hparam < 0 ||
      n_hparam > PBT_MAX_HPARAM) {
    return pbt_fail(PBT_ERR_DATA, "%lld members with %lld hyperparameters",
                    (long long)it->info.n_member, (long long)n_hparam);
  }
  if (n_hparam > 0) {
    PBT_TRY(
        pbt_h5_get_texts(it->file, "hparams", name, sizeof name[0], PBT_MAX_HPARAM, &n));
  }
  if (n != (size_t)n_hparam) {
    return pbt_fail(PBT_ERR_DATA, "%zu names for %lld hyperparameters", n,
                    (long long)n_hparam);
  }
  it->info.n_hparam = (int32_t)n_hparam;
  for (size_t i = 0; i < n; i++) {
    snprintf(it->hparam[i].name, PBT_HPARAM_NAME, "%.*s", PBT_HPARAM_NAME - 1, name[i]);
  }
  return PBT_OK;
}

static pbt_status get_facts(struct pbt_lineage_reader *it) {
  int64_t schema = 0, seed = 0;
  char *sense;
  PBT_TRY(pbt_h5_get_integer(it->file, "schema_version", &schema));
  if (schema != PBT_LINEAGE_SCHEMA) {
    return pbt_fail(PBT_ERR_DATA, "schema version %lld, this program reads %d",
                    (long long)schema, PBT_LINEAGE_SCHEMA);
  }
  PBT_TRY(pbt_h5_get_text(it->file, "job", &it->job_text));
  PBT_TRY(pbt_h5_get_text(it->file, "job_name", &it->job_name));
  PBT_TRY(pbt_h5_get_text(it->file, "metric", &it->metric));
  PBT_TRY(pbt_h5_get_text(it->file, "version", &it->version));
  PBT_TRY(pbt_h5_get_integer(it->file, "seed", &seed));
  PBT_TRY(pbt_h5_get_text(it->file, "sense", &sense));
  it->info.maximize = strcmp(sense, "maximize") == 0;
  pbt_mem_free(sense);
  it->info.seed = (uint64_t)seed;
  it->info.job_text = it->job_text;
  it->info.job_name = it->job_name;
  it->info.metric = it->metric;
  it->info.version = it->version;
  it->info.hparam = it->hparam;
  return get_names(it);
}

/* Rows of a data set as last refreshed, -1 if it is not [rows, n] in chunks of whole rows
 * (n = 0: one-dimensional). */
static int64_t rows_of(hid_t set, int64_t n) {
  hsize_t dim[H5S_MAX_RANK] = {0}, chunk[2] = {0};
  int rank = n == 0 ? 1 : 2;
  hid_t space = H5Dget_space(set), creation = H5Dget_create_plist(set);
  bool fine = space >= 0 && creation >= 0 &&
              H5Sget_simple_extent_dims(space, dim, NULL) == rank &&
              H5Pget_layout(creation) == H5D_CHUNKED &&
              H5Pget_chunk(creation, rank, chunk) == rank &&
              chunk[0] <= PBT_LINEAGE_PAGE &&
              (n == 0 || (dim[1] == (hsize_t)n && chunk[1] == dim[1]));
  pbt_h5_close(&creation);
  pbt_h5_close(&space);
  return fine && dim[0] <= INT32_MAX ? (int64_t)dim[0] : -1;
}

static pbt_status same_class(hid_t set, hid_t native, const char *name) {
  hid_t type = H5Dget_type(set);
  bool same = type >= 0 && H5Tget_class(type) == H5Tget_class(native) &&
              H5Tget_size(type) <= H5Tget_size(native);
  pbt_h5_close(&type);
  return same ? PBT_OK : pbt_fail(PBT_ERR_DATA, "%s is of another type", name);
}

static pbt_status open_columns(struct pbt_lineage_reader *it) {
  it->n_column = pbt_lineage_columns(it->hparam, it->info.n_hparam, it->column);
  for (size_t i = 0; i < it->n_column; i++) {
    const struct pbt_column *column = &it->column[i];
    PBT_TRY(PBT_H5(it->native[i] = pbt_column_type_open(column->type, true),
                   PBT_ERR_INTERNAL, "cannot set up HDF5"));
    PBT_TRY(PBT_H5(it->set[i] = H5Dopen2(it->file, column->name, H5P_DEFAULT),
                   PBT_ERR_DATA, "cannot open %s", column->name));
    PBT_TRY(same_class(it->set[i], it->native[i], column->name));
    it->rows[i] = rows_of(it->set[i], it->info.n_member);
    if (it->rows[i] < 0) {
      return pbt_fail(PBT_ERR_DATA, "%s is of another shape", column->name);
    }
    if (column->hparam >= 0) {
      PBT_TRY(get_hparam(it->set[i], &it->hparam[column->hparam]));
    }
  }
  PBT_TRY(PBT_H5(it->commit_type = pbt_commit_type_open(true), PBT_ERR_INTERNAL,
                 "cannot set up HDF5"));
  PBT_TRY(PBT_H5(it->committed = H5Dopen2(it->file, "committed", H5P_DEFAULT),
                 PBT_ERR_DATA, "cannot open committed"));
  return same_class(it->committed, it->commit_type, "committed");
}

static pbt_status read_commit(struct pbt_lineage_reader *it, int64_t generation,
                              struct pbt_lineage_commit *commit) {
  hid_t memory = H5Screate(H5S_SCALAR),
        space = pbt_select_row(it->committed, generation, 0);
  pbt_status status =
      PBT_H5(memory < 0 || space < 0 ? -1
                                     : H5Dread(it->committed, it->commit_type, memory,
                                               space, it->transfer, commit),
             PBT_ERR_DATA, "cannot read committed");
  pbt_h5_close(&space);
  pbt_h5_close(&memory);
  return status;
}

/* Rows that exist but were never written hold generation -1; they can only be last. */
static pbt_status count_committed(struct pbt_lineage_reader *it) {
  int64_t n = rows_of(it->committed, 0);
  if (n < 0) {
    return pbt_fail(PBT_ERR_DATA, "committed is of another shape");
  }
  while (n > it->n_generation) {
    struct pbt_lineage_commit commit = {.generation = -1};
    PBT_TRY(read_commit(it, n - 1, &commit));
    if (commit.generation == n - 1) {
      break;
    }
    if (commit.generation != -1) {
      return pbt_fail(PBT_ERR_DATA, "row %lld of committed is of generation %lld",
                      (long long)n - 1, (long long)commit.generation);
    }
    n--;
  }
  it->n_generation = n > it->n_generation ? n : it->n_generation;
  return PBT_OK;
}

static pbt_status open_all(struct pbt_lineage_reader *it) {
  hid_t access = pbt_lineage_access();
  pbt_status status =
      PBT_H5(it->file = H5Fopen(it->path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access),
             PBT_ERR_DATA, "cannot open it");
  pbt_h5_close(&access);
  PBT_TRY(status);
  PBT_TRY(get_facts(it));
  PBT_TRY(open_columns(it));
  PBT_TRY(PBT_H5(it->transfer = pbt_lineage_transfer(), PBT_ERR_INTERNAL,
                 "cannot set up HDF5"));
  const hsize_t n = (hsize_t)it->info.n_member;
  PBT_TRY(PBT_H5(it->row_space = H5Screate_simple(1, &n, NULL), PBT_ERR_INTERNAL,
                 "cannot set up HDF5"));
  PBT_TRY(PBT_NEW(it->info.n_member * PBT_COLUMN_ITEM, &it->item));
  return count_committed(it);
}

static pbt_status open_once(const char *path, struct pbt_lineage_reader **reader) {
  struct pbt_lineage_reader *it;
  PBT_TRY(PBT_NEW(1, &it));
  it->file = it->committed = it->commit_type = it->row_space = it->transfer = -1;
  for (size_t i = 0; i < PBT_COLUMNS_MAX; i++) {
    it->set[i] = it->native[i] = -1;
  }
  pbt_status status =
      snprintf(it->path, sizeof it->path, "%s", path) < (int)sizeof it->path
          ? open_all(it)
          : pbt_fail(PBT_ERR_DATA, "path too long: %s", path);
  if (status != PBT_OK) {
    pbt_lineage_reader_close(it);
    return pbt_context(status, "%s cannot be read as a lineage", path);
  }
  *reader = it;
  return PBT_OK;
}

pbt_status pbt_lineage_open(const char *path, struct pbt_lineage_reader **reader,
                            struct pbt_lineage_shape *shape) {
  *reader = NULL;
  pbt_h5_quiet();
  PBT_TRY(check_kind(path));
  pbt_status status = open_once(path, reader);
  for (int try = 0; status == PBT_ERR_DATA && try < TRIES; try++) {
    pbt_error_clear();
    nap(try);
    status = open_once(path, reader);
  }
  PBT_TRY(status);
  const struct pbt_lineage_reader *it = *reader;
  *shape = (struct pbt_lineage_shape){.n_generation = it->n_generation,
                                      .n_member = it->info.n_member,
                                      .n_hparam = it->info.n_hparam};
  memcpy(shape->hparam, it->hparam, sizeof shape->hparam);
  return PBT_OK;
}

pbt_status pbt_lineage_open_holding(const char *path, int64_t generations,
                                    struct pbt_lineage_reader **reader,
                                    struct pbt_lineage_shape *shape) {
  char before[PBT_PATH_BYTES];
  pbt_status status = pbt_lineage_open(path, reader, shape);
  if (status == PBT_OK && shape->n_generation >= generations) {
    return PBT_OK;
  }
  if (status == PBT_OK) {
    status = pbt_fail(PBT_ERR_DATA, "%s holds %lld generations, not %lld", path,
                      (long long)shape->n_generation, (long long)generations);
    pbt_lineage_reader_close(*reader);
    *reader = NULL;
  }
  if (snprintf(before, sizeof before, "%s.prev", path) < (int)sizeof before &&
      pbt_file_exists(before)) {
    struct pbt_lineage_shape other;
    char message[PBT_ERROR_BYTES];
    snprintf(message, sizeof message, "%s", pbt_error());
    pbt_error_clear();
    if (pbt_lineage_open(before, reader, &other) == PBT_OK) {
      if (other.n_generation >= generations) {
        *shape = other;
        return PBT_OK;
      }
      pbt_lineage_reader_close(*reader);
      *reader = NULL;
    }
    pbt_error_set(message);
  }
  return status;
}

void pbt_lineage_reader_close(struct pbt_lineage_reader *reader) {
  if (reader == NULL) {
    return;
  }
  for (size_t i = 0; i < PBT_COLUMNS_MAX; i++) {
    pbt_h5_close(&reader->native[i]);
    pbt_h5_close(&reader->set[i]);
  }
  pbt_h5_close(&reader->committed);
  pbt_h5_close(&reader->commit_type);
  pbt_h5_close(&reader->row_space);
  pbt_h5_close(&reader->transfer);
  pbt_h5_close_file(&reader->file);
  pbt_mem_free(reader->job_text);
  pbt_mem_free(reader->job_name);
  pbt_mem_free(reader->metric);
  pbt_mem_free(reader->version);
  pbt_mem_free(reader->item);
  pbt_mem_free(reader);
}

const struct pbt_lineage_info *
pbt_lineage_reader_info(const struct pbt_lineage_reader *reader) {
  return &reader->info;
}

/* ---- reading ---- */

static pbt_status count_once(struct pbt_lineage_reader *it) {
  PBT_TRY(PBT_H5(H5Drefresh(it->committed), PBT_ERR_DATA, "cannot read committed"));
  return count_committed(it);
}

pbt_status pbt_lineage_count(struct pbt_lineage_reader *reader, int64_t *n_generation) {
  pbt_status status = count_once(reader);
  for (int try = 0; status == PBT_ERR_DATA && try < TRIES; try++) {
    pbt_error_clear();
    nap(try);
    status = count_once(reader);
  }
  *n_generation = reader->n_generation;
  return status == PBT_OK ? PBT_OK : pbt_context(status, "%s", reader->path);
}

/* The option that a stored number stands for; -1 if none. */
static double option_index(const struct pbt_hparam *hparam, double number) {
  for (int32_t i = 0; i < hparam->n_option; i++) {
    if (hparam->option[i] == number) {
      return i;
    }
  }
  return -1;
}

static pbt_status put_item(const struct pbt_lineage_reader *it,
                           const struct pbt_column *column, const char *item,
                           struct pbt_lineage_row *row) {
  memcpy((char *)row + column->offset, item, column->bytes);
  if (column->hparam < 0 || it->hparam[column->hparam].kind != PBT_CHOICE) {
    return PBT_OK;
  }
  double number;
  memcpy(&number, item, sizeof number);
  double value = option_index(&it->hparam[column->hparam], number);
  memcpy((char *)row + column->offset, &value, sizeof value);
  return value >= 0 ? PBT_OK
                    : pbt_fail(PBT_ERR_DATA, "%s holds %g, which is no option of it",
                               column->name, number);
}

static pbt_status read_column(struct pbt_lineage_reader *it, size_t i, int64_t generation,
                              struct pbt_lineage_row row[]) {
  const struct pbt_column *column = &it->column[i];
  if (it->rows[i] <= generation) {
    PBT_TRY(PBT_H5(H5Drefresh(it->set[i]), PBT_ERR_DATA, "cannot read %s", column->name));
    it->rows[i] = rows_of(it->set[i], it->info.n_member);
  }
  if (it->rows[i] <= generation) {
    return pbt_fail(PBT_ERR_DATA, "%s lacks the committed generation %lld", column->name,
                    (long long)generation);
  }
  hid_t space = pbt_select_row(it->set[i], generation, it->info.n_member);
  pbt_status status = PBT_H5(space < 0 ? -1
                                       : H5Dread(it->set[i], it->native[i], it->row_space,
                                                 space, it->transfer, it->item),
                             PBT_ERR_DATA, "cannot read %s of generation %lld",
                             column->name, (long long)generation);
  pbt_h5_close(&space);
  for (int64_t m = 0; status == PBT_OK && m < it->info.n_member; m++) {
    status = put_item(it, column, it->item + (size_t)m * column->bytes, &row[m]);
  }
  return status;
}

static pbt_status check_row(const struct pbt_lineage_reader *it,
                            const struct pbt_lineage_row *row) {
  bool fine =
      row->event < PBT_EVENTS && row->parent >= -1 && row->parent < it->info.n_member;
  for (int32_t i = 0; i < it->info.n_hparam; i++) {
    fine = fine && row->move[i] < PBT_MOVES;
  }
  return fine ? PBT_OK
              : pbt_fail(PBT_ERR_DATA, "a row holds an unknown event, move or parent");
}

static pbt_status read_once(struct pbt_lineage_reader *it, int64_t generation,
                            struct pbt_lineage_row row[],
                            struct pbt_lineage_commit *commit) {
  PBT_TRY(read_commit(it, generation, commit));
  for (size_t i = 0; i < it->n_column; i++) {
    PBT_TRY(read_column(it, i, generation, row));
  }
  for (int64_t m = 0; m < it->info.n_member; m++) {
    PBT_TRY(check_row(it, &row[m]));
  }
  return PBT_OK;
}

pbt_status pbt_lineage_read(struct pbt_lineage_reader *reader, int64_t generation,
                            struct pbt_lineage_row row[],
                            struct pbt_lineage_commit *commit) {
  int64_t n = reader->n_generation;
  if (generation >= n) {
    PBT_TRY(pbt_lineage_count(reader, &n));
  }
  if (generation < 0 || generation >= n) {
    return pbt_fail(PBT_ERR_DATA, "%s holds generations 0 to %lld, there is no %lld",
                    reader->path, (long long)n - 1, (long long)generation);
  }
  memset(row, 0, (size_t)reader->info.n_member * sizeof *row);
  pbt_status status = read_once(reader, generation, row, commit);
  for (int try = 0; status == PBT_ERR_DATA && try < TRIES; try++) {
    pbt_error_clear();
    nap(try);
    memset(reader->rows, 0, sizeof reader->rows); // refresh them all
    status = read_once(reader, generation, row, commit);
  }
  return status == PBT_OK ? PBT_OK : pbt_context(status, "%s", reader->path);
}

static pbt_status take_starts(hid_t set, hid_t native, struct pbt_lineage_start **start,
                              int64_t *n) {
  hid_t space = H5Dget_space(set);
  hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
  pbt_h5_close(&space);
  if (count < 0 || count > MAX_STARTS) {
    return pbt_fail(PBT_ERR_DATA, "starts has %lld rows", (long long)count);
  }
  PBT_TRY(same_class(set, native, "starts"));
  PBT_TRY(PBT_NEW(count + 1, start));
  pbt_status status = PBT_H5(H5Dread(set, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, *start),
                             PBT_ERR_DATA, "cannot read starts");
  if (status != PBT_OK) {
    pbt_mem_free(*start);
    *start = NULL;
    return status;
  }
  for (int64_t i = 0; i < count; i++) { // a full text has no NUL in the file
    struct pbt_lineage_start *one = &(*start)[i];
    one->time[sizeof one->time - 1] = one->host[sizeof one->host - 1] =
        one->job_id[sizeof one->job_id - 1] = one->git_id[sizeof one->git_id - 1] =
            one->device[sizeof one->device - 1] = '\0';
  }
  *n = count;
  return PBT_OK;
}

pbt_status pbt_lineage_read_starts(struct pbt_lineage_reader *reader,
                                   struct pbt_lineage_start **start, int64_t *n) {
  *start = NULL;
  *n = 0;
  hid_t native = pbt_start_type_open(true);
  hid_t set = H5Dopen2(reader->file, "starts", H5P_DEFAULT);
  pbt_status status = native < 0 || set < 0
                          ? pbt_h5_fail(PBT_ERR_DATA, "cannot open starts")
                          : take_starts(set, native, start, n);
  pbt_h5_close(&set);
  pbt_h5_close(&native);
  return status == PBT_OK ? PBT_OK : pbt_context(status, "%s", reader->path);
}
