#include "record/array_file.h"

#include "base/file.h"   // PBT_PATH_BYTES
#include "base/memory.h" // PBT_NEW
#include "record/h5.h"

#include <stdio.h>
#include <string.h>

/* A chunk is decompressed whole, so its size is bounded. */
enum { BLOCK_BYTES = 16 << 20, MAX_CHUNK_BYTES = 1 << 30 };

struct pbt_array_file {
  hid_t file;
  hid_t access; // of its data sets
  char path[PBT_PATH_BYTES];
};

/* A link that leads into another file leads nowhere. */
static herr_t refuse_link(const char *parent_file, const char *parent_group,
                          const char *child_file, const char *child_object,
                          unsigned *flags, hid_t access, void *context) {
  (void)parent_file, (void)parent_group, (void)child_file, (void)child_object;
  (void)flags, (void)access, (void)context;
  return -1;
}

static pbt_status open_file(struct pbt_array_file *file) {
  file->access = H5Pcreate(H5P_DATASET_ACCESS);
  PBT_TRY(PBT_H5(file->access < 0 ? -1 : H5Pset_elink_cb(file->access, refuse_link, NULL),
                 PBT_ERR_INTERNAL, "cannot make an access list"));
  hid_t access = pbt_h5_access(H5F_LIBVER_EARLIEST);
  pbt_status status = PBT_H5(access < 0 ? -1 : H5Pset_file_locking(access, false, true),
                             PBT_ERR_INTERNAL, "cannot make an access list");
  if (status == PBT_OK) {
    status = PBT_H5(file->file = H5Fopen(file->path, H5F_ACC_RDONLY, access),
                    PBT_ERR_DATA, "%s is no HDF5 file, or a damaged one", file->path);
  }
  pbt_h5_close(&access);
  return status;
}

pbt_status pbt_array_file_open(const char *path, struct pbt_array_file **file) {
  *file = NULL;
  if (!pbt_file_exists(path) || pbt_file_is_folder(path)) {
    return pbt_fail(PBT_ERR_MISSING, "%s: no such file", path);
  }
  pbt_h5_quiet();
  struct pbt_array_file *it;
  PBT_TRY(PBT_NEW(1, &it));
  it->file = it->access = -1;
  snprintf(it->path, sizeof it->path, "%s", path);
  pbt_status status = open_file(it);
  if (status != PBT_OK) {
    pbt_array_file_close(it);
    return status;
  }
  *file = it;
  return PBT_OK;
}

void pbt_array_file_close(struct pbt_array_file *file) {
  if (file != NULL) {
    pbt_h5_close_file(&file->file);
    pbt_h5_close(&file->access);
    pbt_mem_free(file);
  }
}

bool pbt_array_file_has(const struct pbt_array_file *file, const char *name) {
  char part[64];
  for (const char *slash = strchr(name, '/'); slash != NULL;
       slash = strchr(slash + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
    if (H5Lexists(file->file, part, file->access) <= 0) {
      return false;
    }
  }
  return H5Lexists(file->file, name, file->access) > 0;
}

static pbt_status look_at_type(hid_t set, const char *where, struct pbt_array *array) {
  hid_t type = H5Dget_type(set);
  H5T_class_t kind = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
  size_t bytes = type < 0 ? 0 : H5Tget_size(type);
  array->real = kind == H5T_FLOAT && (bytes == 2 || bytes == 4 || bytes == 8);
  bool whole = kind == H5T_INTEGER && bytes >= 1 && bytes <= 8;
  array->is_byte = whole && bytes == 1 && H5Tget_sign(type) == H5T_SGN_NONE;
  array->item_bytes = bytes;
  pbt_h5_close(&type);
  return array->real || whole
             ? PBT_OK
             : pbt_fail(PBT_ERR_DATA,
                        "%s holds neither integers nor floats of a usual "
                        "size",
                        where);
}

static pbt_status look_at_shape(hid_t set, const char *where, struct pbt_array *array) {
  hid_t space = H5Dget_space(set);
  hsize_t dim[H5S_MAX_RANK] = {0};
  int ndim = -1;
  if (space >= 0 && H5Sis_simple(space) > 0) {
    ndim = H5Sget_simple_extent_dims(space, dim, NULL);
  }
  pbt_h5_close(&space);
  if (ndim < 1 || ndim > PBT_ARRAY_MAX_DIM) {
    return pbt_fail(PBT_ERR_DATA, "%s has %d dimensions; 1 to %d are handled", where,
                    ndim < 0 ? 0 : ndim, PBT_ARRAY_MAX_DIM);
  }
  array->ndim = ndim;
  for (int i = 0; i < ndim; i++) {
    if (dim[i] < 1 || dim[i] > INT32_MAX) {
      return pbt_fail(PBT_ERR_DATA, "dimension %d of %s is %llu; it may be 1 to %d", i,
                      where, (unsigned long long)dim[i], INT32_MAX);
    }
    array->dim[i] = (int64_t)dim[i];
  }
  return PBT_OK;
}

static pbt_status look_at_filters(hid_t create, const char *where) {
  int n = H5Pget_nfilters(create);
  for (int i = 0; i < n; i++) {
    char name[64] = "";
    unsigned flags = 0;
    size_t n_value = 0;
    H5Z_filter_t filter = H5Pget_filter2(create, (unsigned)i, &flags, &n_value, NULL,
                                         sizeof name, name, NULL);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32) {
      return pbt_fail(
          PBT_ERR_DATA,
          "%s is compressed by filter %d (%.40s); write it with gzip, with or "
          "without shuffle, or plain",
          where, (int)filter, name);
    }
  }
  return PBT_OK;
}

/* Numbers that lie in the object's header: HDF5 believes the shape, and reads on behind
 * them if there are fewer. */
static bool too_few_bytes(hid_t set, const struct pbt_array *array) {
  double bytes = (double)array->item_bytes;
  for (int i = 0; i < array->ndim; i++) {
    bytes *= (double)array->dim[i];
  }
  return (double)H5Dget_storage_size(set) < bytes;
}

/* Where its bytes lie, and how many rows share a chunk. */
static pbt_status look_at_storage(hid_t set, hid_t create, const char *where,
                                  struct pbt_array *array) {
  H5D_layout_t layout = create < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(create);
  if (layout == H5D_COMPACT && too_few_bytes(set, array)) {
    return pbt_fail(PBT_ERR_DATA, "%s holds fewer numbers than its shape says", where);
  }
  if (layout == H5D_VIRTUAL || H5Pget_external_count(create) > 0) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s keeps its numbers in other files; copy them into "
                    "this one",
                    where);
  }
  double row_bytes = array->real ? 4.0 : array->is_byte ? 1.0 : 8.0;
  for (int i = 1; i < array->ndim; i++) {
    row_bytes *= (double)array->dim[i];
  }
  double rows = BLOCK_BYTES / row_bytes;
  if (layout == H5D_CHUNKED) {
    hsize_t chunk[PBT_ARRAY_MAX_DIM] = {0};
    if (H5Pget_chunk(create, array->ndim, chunk) != array->ndim) {
      return pbt_h5_fail(PBT_ERR_DATA, "cannot read how %s is stored", where);
    }
    double bytes = (double)array->item_bytes;
    for (int i = 0; i < array->ndim; i++) {
      bytes *= (double)chunk[i];
    }
    if (!(bytes >= 1.0 && bytes <= MAX_CHUNK_BYTES)) {
      return pbt_fail(PBT_ERR_DATA,
                      "%s is stored in chunks of %.0f bytes; at most %d are handled",
                      where, bytes, MAX_CHUNK_BYTES);
    }
    double most =
        chunk[0] < (hsize_t)array->dim[0] ? (double)chunk[0] : (double)array->dim[0];
    if (most * row_bytes <= MAX_CHUNK_BYTES) { // else a chunk is worth reading twice
      rows = rows < most ? most : rows - (double)((int64_t)rows % (int64_t)most);
    }
    PBT_TRY(look_at_filters(create, where));
  }
  array->rows_at_once = rows < 1.0 ? 1 : (int64_t)rows;
  return PBT_OK;
}

pbt_status pbt_array_file_look(const struct pbt_array_file *file, const char *name,
                               struct pbt_array *array) {
  char where[PBT_PATH_BYTES + 64];
  snprintf(where, sizeof where, "%s of %s", name, file->path);
  *array = (struct pbt_array){0};
  hid_t set = H5Dopen2(file->file, name, file->access);
  PBT_TRY(PBT_H5(set, PBT_ERR_DATA, "there is no data set %s", where));
  hid_t create = H5Dget_create_plist(set);
  pbt_status status;
  PBT_TRY_TO(done, status, look_at_type(set, where, array));
  PBT_TRY_TO(done, status, look_at_shape(set, where, array));
  status = look_at_storage(set, create, where, array);
done:
  pbt_h5_close(&create);
  pbt_h5_close(&set);
  return status;
}

pbt_status pbt_array_file_read(const struct pbt_array_file *file, const char *name,
                               const struct pbt_array *array, int64_t first, int64_t n,
                               enum pbt_dtype dtype, void *to) {
  hid_t type = dtype == PBT_U8    ? H5T_NATIVE_UINT8
               : dtype == PBT_I64 ? H5T_NATIVE_INT64
                                  : H5T_NATIVE_FLOAT;
  hsize_t start[PBT_ARRAY_MAX_DIM] = {(hsize_t)first},
          count[PBT_ARRAY_MAX_DIM] = {(hsize_t)n};
  for (int i = 1; i < array->ndim; i++) {
    count[i] = (hsize_t)array->dim[i];
  }
  hid_t set = H5Dopen2(file->file, name, file->access);
  hid_t from = set < 0 ? -1 : H5Dget_space(set);
  hid_t block = H5Screate_simple(array->ndim, count, NULL);
  bool fine = from >= 0 && block >= 0 &&
              H5Sget_simple_extent_ndims(from) == array->ndim &&
              H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              H5Dread(set, type, block, from, H5P_DEFAULT, to) >= 0;
  pbt_status status =
      fine ? PBT_OK
           : pbt_h5_fail(PBT_ERR_DATA, "cannot read rows %lld to %lld of %s of %s",
                         (long long)first, (long long)(first + n - 1), name, file->path);
  pbt_h5_close(&block);
  pbt_h5_close(&from);
  pbt_h5_close(&set);
  return status;
}
