/*
 * tensor_file.c - an HDF5 file that never touches the disk while HDF5 holds it.
 *
 * H5Fclose returns 0 on a full disk, and 1.10's parser has known holes for damaged files.
 * So HDF5 works on memory only (core driver): what it built is taken out as an image,
 * digested and written by code that checks every byte, and what it parses has passed its
 * digest before.  No times are stored and nothing depends on addresses: the same content
 * is the same bytes, so two equal runs leave equal files.
 *
 * Behind what HDF5 knows of, a line holds the digest of all before it, for files that no
 * manifest vouches for (best.h5).  HDF5 ignores it, and drops it when it changes a file:
 * a file without the line is taken as it is.
 */
#include "record/tensor_file.h"

#include "base/digest.h" // pbt_digest
#include "base/memory.h" // pbt_mem_alloc
#include "record/h5.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SCHEMA = 1, DIGEST_BYTES = sizeof "\npbt_mpi xxh3 0123456789abcdef\n" - 1 };

struct pbt_tensor_file {
  hid_t file;
  char *path; // for messages
};

/* As stored and as in memory; H5T_... are run-time values, so no static table. */
static hid_t stored_type(enum pbt_dtype dtype) {
  switch (dtype) {
  case PBT_F32:
    return H5T_IEEE_F32LE;
  case PBT_F64:
    return H5T_IEEE_F64LE;
  case PBT_I64:
    return H5T_STD_I64LE;
  case PBT_U64:
    return H5T_STD_U64LE;
  case PBT_U8:
    return H5T_STD_U8LE;
  }
  return -1;
}

static hid_t native_type(enum pbt_dtype dtype) {
  switch (dtype) {
  case PBT_F32:
    return H5T_NATIVE_FLOAT;
  case PBT_F64:
    return H5T_NATIVE_DOUBLE;
  case PBT_I64:
    return H5T_NATIVE_INT64;
  case PBT_U64:
    return H5T_NATIVE_UINT64;
  case PBT_U8:
    return H5T_NATIVE_UINT8;
  }
  return -1;
}

static const char *role_name(enum pbt_role role) {
  switch (role) {
  case PBT_ROLE_WEIGHT:
    return "weight";
  case PBT_ROLE_OPTIMIZER:
    return "optimizer";
  case PBT_ROLE_BUFFER:
    return "buffer";
  case PBT_ROLE_LOCAL:
    return "local";
  }
  return "unknown";
}

/* Memory grows by `increment`; nothing is ever written to a file of that name. */
static pbt_status core_access(size_t increment, hid_t *access) {
  PBT_TRY(PBT_H5(*access = pbt_h5_access(H5F_LIBVER_V18), PBT_ERR_INTERNAL,
                 "cannot set up HDF5"));
  return PBT_H5(H5Pset_fapl_core(*access, increment, false), PBT_ERR_INTERNAL,
                "cannot set up HDF5's memory driver");
}

static pbt_status core_create(size_t about, hid_t *file) {
  pbt_status status;
  hid_t access = -1, creation = -1;
  PBT_TRY_TO(done, status, core_access(about + 65536, &access));
  PBT_TRY_TO(done, status,
             PBT_H5(creation = pbt_h5_timeless(H5P_FILE_CREATE), PBT_ERR_INTERNAL,
                    "cannot set up HDF5"));
  PBT_TRY_TO(done, status,
             PBT_H5(*file = H5Fcreate("image", H5F_ACC_TRUNC, creation, access),
                    PBT_ERR_UNAVAILABLE, "cannot make an HDF5 file in memory"));
done:
  pbt_h5_close(&creation);
  pbt_h5_close(&access);
  return status;
}

/* The groups on the way to "conv1/weight".  Not by HDF5's intermediate groups: those
 * carry a time. */
static pbt_status make_groups(hid_t file, const char *name) {
  char part[PBT_TENSOR_NAME];
  for (size_t i = 0; name[i] != '\0' && i < sizeof part; i++) {
    part[i] = '\0';
    if (name[i] == '/' && H5Lexists(file, part, H5P_DEFAULT) <= 0) {
      hid_t creation = pbt_h5_timeless(H5P_GROUP_CREATE);
      hid_t group = H5Gcreate2(file, part, H5P_DEFAULT, creation, H5P_DEFAULT);
      pbt_status status =
          PBT_H5(group, PBT_ERR_INTERNAL, "cannot make group %s in an HDF5 file", part);
      pbt_h5_close(&group);
      pbt_h5_close(&creation);
      PBT_TRY(status);
    }
    part[i] = name[i];
  }
  return PBT_OK;
}

static pbt_status put_tensor(hid_t file, const struct pbt_tensor *tensor,
                             const void *image) {
  pbt_status status;
  hid_t space = -1, creation = -1, set = -1;
  hsize_t dim[PBT_MAX_DIM] = {0};
  for (int i = 0; i < tensor->ndim; i++) {
    dim[i] = (hsize_t)tensor->dim[i];
  }
  PBT_TRY_TO(done, status, make_groups(file, tensor->name));
  PBT_TRY_TO(done, status,
             PBT_H5(space = tensor->ndim == 0 ? H5Screate(H5S_SCALAR)
                                              : H5Screate_simple(tensor->ndim, dim, NULL),
                    PBT_ERR_INTERNAL, "cannot store tensor %s", tensor->name));
  PBT_TRY_TO(done, status,
             PBT_H5(creation = pbt_h5_timeless(H5P_DATASET_CREATE), PBT_ERR_INTERNAL,
                    "cannot store tensor %s", tensor->name));
  PBT_TRY_TO(done, status,
             PBT_H5(set = H5Dcreate2(file, tensor->name, stored_type(tensor->dtype),
                                     space, H5P_DEFAULT, creation, H5P_DEFAULT),
                    PBT_ERR_INTERNAL, "cannot store tensor %s", tensor->name));
  PBT_TRY_TO(done, status,
             PBT_H5(H5Dwrite(set, native_type(tensor->dtype), H5S_ALL, H5S_ALL,
                             H5P_DEFAULT, (const char *)image + tensor->offset),
                    PBT_ERR_UNAVAILABLE, "cannot store tensor %s", tensor->name));
  PBT_TRY_TO(done, status, pbt_h5_put_text(set, "role", role_name(tensor->role)));
done:
  pbt_h5_close(&set);
  pbt_h5_close(&creation);
  pbt_h5_close(&space);
  return status;
}

static pbt_status put_fact(hid_t file, const struct pbt_fact *fact) {
  switch (fact->kind) {
  case PBT_FACT_TEXT:
    return pbt_h5_put_text(file, fact->name, fact->text);
  case PBT_FACT_INTEGER:
    return pbt_h5_put_integer(file, fact->name, fact->integer);
  case PBT_FACT_REAL:
    return pbt_h5_put_reals(file, fact->name, &fact->real, 0);
  }
  return PBT_BUG("a fact of no kind");
}

static uint32_t rotate(uint32_t x, int bits) {
  return (x << bits) | (x >> (32 - bits));
}

/* HDF5's metadata checksum: Bob Jenkins' lookup3 ("hashlittle", public domain) from 0,
 * here for a length that is a multiple of four. */
static uint32_t lookup3(const unsigned char *at, size_t bytes) {
  uint32_t x[3], word[3];
  x[0] = x[1] = x[2] = 0xdeadbeef + (uint32_t)bytes;
  while (bytes > 0) {
    size_t n = bytes < sizeof word ? bytes : sizeof word;
    for (size_t i = 0; i < 3; i++) {
      const unsigned char *b = at + 4 * i;
      word[i] = 4 * i >= n ? 0
                           : (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                                 (uint32_t)b[3] << 24;
      x[i] += word[i];
    }
    at += n;
    bytes -= n;
    static const int mix[] = {4, 6, 8, 16, 19, 4};
    static const int final[] = {14, 11, 25, 16, 4, 14, 24};
    if (bytes > 0) {
      for (size_t i = 0; i < 6; i++) { // a -= c; a ^= rot(c, 4); c += b; and so around
        uint32_t *a = &x[i % 3], *b = &x[(i + 1) % 3], *c = &x[(i + 2) % 3];
        *a -= *c;
        *a ^= rotate(*c, mix[i]);
        *c += *b;
      }
    } else {
      for (size_t i = 0; i < 7; i++) { // c ^= b; c -= rot(b, 14); and so around
        uint32_t *c = &x[(i + 2) % 3], *b = &x[(i + 1) % 3];
        *c ^= *b;
        *c -= rotate(*b, final[i]);
      }
    }
  }
  return x[2];
}

/* H5Fget_file_image clears the "open for writing" flag of its copy but leaves the
 * superblock's checksum as it was (1.10.8), so that nobody can open it.  The superblock
 * of version 2 is 44 bytes and their checksum; done again where HDF5 does it right, this
 * changes nothing. */
static pbt_status seal(char *bytes, size_t n_bytes) {
  enum { VERSION_AT = 8, SIZED = 44, CHECKED = 48 };
  if (n_bytes < CHECKED || bytes[VERSION_AT] != 2) {
    return PBT_BUG("HDF5 made a superblock of another version");
  }
  uint32_t sum = lookup3((const unsigned char *)bytes, SIZED);
  for (int i = 0; i < 4; i++) {
    bytes[SIZED + i] = (char)(sum >> (8 * i));
  }
  return PBT_OK;
}

static const char digest_words[] = "\npbt_mpi xxh3 ";

static void digest_line(const char *bytes, size_t n, char line[DIGEST_BYTES + 1]) {
  snprintf(line, DIGEST_BYTES + 1, "%s%016" PRIx64 "\n", digest_words,
           pbt_digest(bytes, n));
}

/* Without the line in *n; PBT_ERR_DATA if there is one and it tells of other bytes. */
static pbt_status check_digest(const char *path, const char *bytes, size_t *n) {
  char line[DIGEST_BYTES + 1];
  size_t before = *n - DIGEST_BYTES;
  if (*n < DIGEST_BYTES ||
      memcmp(bytes + before, digest_words, sizeof digest_words - 1) != 0) {
    return PBT_OK;
  }
  digest_line(bytes, before, line);
  if (memcmp(bytes + before, line, DIGEST_BYTES) != 0) {
    return pbt_fail(PBT_ERR_DATA, "%s is damaged (its digest does not match)", path);
  }
  *n = before;
  return PBT_OK;
}

static pbt_status take_image(hid_t file, char **bytes, size_t *n_bytes) {
  PBT_TRY(PBT_H5(H5Fflush(file, H5F_SCOPE_GLOBAL), PBT_ERR_UNAVAILABLE,
                 "cannot finish an HDF5 file in memory"));
  ssize_t size = H5Fget_file_image(file, NULL, 0);
  PBT_TRY(PBT_H5(size, PBT_ERR_INTERNAL, "cannot take an HDF5 file out of memory"));
  char line[DIGEST_BYTES + 1];
  size_t n = (size_t)size;
  PBT_TRY(pbt_mem_alloc(n + DIGEST_BYTES, (void **)bytes));
  PBT_TRY(PBT_H5(H5Fget_file_image(file, *bytes, n), PBT_ERR_INTERNAL,
                 "cannot take an HDF5 file out of memory"));
  PBT_TRY(seal(*bytes, n));
  digest_line(*bytes, n, line);
  memcpy(*bytes + n, line, DIGEST_BYTES);
  *n_bytes = n + DIGEST_BYTES;
  return PBT_OK;
}

pbt_status pbt_tensor_file_build(const struct pbt_fact fact[], size_t n_fact,
                                 const struct pbt_state *state, unsigned roles,
                                 const void *image, char **bytes, size_t *n_bytes) {
  pbt_status status;
  hid_t file = -1;
  *bytes = NULL;
  *n_bytes = 0;
  pbt_h5_quiet();
  PBT_TRY_TO(done, status, core_create(state->bytes, &file));
  PBT_TRY_TO(done, status, pbt_h5_put_integer(file, "schema_version", SCHEMA));
  PBT_TRY_TO(done, status,
             pbt_h5_put_unsigned(file, "state_signature", state->signature));
  for (size_t i = 0; i < n_fact; i++) {
    PBT_TRY_TO(done, status, put_fact(file, &fact[i]));
  }
  for (size_t i = 0; i < state->n; i++) {
    if (state->tensor[i].role & roles) {
      PBT_TRY_TO(done, status, put_tensor(file, &state->tensor[i], image));
    }
  }
  PBT_TRY_TO(done, status, take_image(file, bytes, n_bytes));
done:
  pbt_h5_close_file(&file);
  if (status != PBT_OK) {
    pbt_mem_free(*bytes);
    *bytes = NULL;
    *n_bytes = 0;
  }
  return status;
}

static pbt_status check_schema(const struct pbt_tensor_file *file) {
  int64_t schema = 0;
  pbt_status status = pbt_h5_get_integer(file->file, "schema_version", &schema);
  if (status != PBT_OK) {
    return pbt_context(status, "%s is no file of ours", file->path);
  }
  if (schema != SCHEMA) {
    return pbt_fail(PBT_ERR_DATA, "%s has schema version %lld, this program reads %d",
                    file->path, (long long)schema, SCHEMA);
  }
  return PBT_OK;
}

static pbt_status core_open(struct pbt_tensor_file *file, const void *bytes,
                            size_t n_bytes) {
  static const char magic[8] = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  if (n_bytes < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0) {
    return pbt_fail(PBT_ERR_DATA, "%s is no HDF5 file", file->path);
  }
  hid_t access = -1;
  pbt_status status = core_access(65536, &access);
  if (status == PBT_OK) { // HDF5 copies the bytes; it only forgot the const
    status = PBT_H5(H5Pset_file_image(access, (void *)(uintptr_t)bytes, n_bytes),
                    PBT_ERR_UNAVAILABLE, "cannot open %s in memory", file->path);
  }
  if (status == PBT_OK) {
    status = PBT_H5(file->file = H5Fopen("image", H5F_ACC_RDONLY, access), PBT_ERR_DATA,
                    "cannot open %s", file->path);
  }
  pbt_h5_close(&access);
  return status;
}

pbt_status pbt_tensor_file_open(const char *path, const void *bytes, size_t n_bytes,
                                struct pbt_tensor_file **file) {
  *file = NULL;
  pbt_h5_quiet();
  struct pbt_tensor_file *it;
  PBT_TRY(PBT_NEW(1, &it));
  it->file = -1;
  size_t length = strlen(path) + 1;
  pbt_status status = PBT_NEW(length, &it->path);
  if (status == PBT_OK) {
    memcpy(it->path, path, length);
    status = check_digest(path, bytes, &n_bytes);
  }
  if (status == PBT_OK) {
    status = core_open(it, bytes, n_bytes);
  }
  if (status == PBT_OK) {
    status = check_schema(it);
  }
  if (status != PBT_OK) {
    pbt_tensor_file_close(it);
    return status;
  }
  *file = it;
  return PBT_OK;
}

void pbt_tensor_file_close(struct pbt_tensor_file *file) {
  if (file != NULL) {
    pbt_h5_close_file(&file->file);
    pbt_mem_free(file->path);
    pbt_mem_free(file);
  }
}

static bool same_shape(hid_t set, const struct pbt_tensor *tensor) {
  hid_t space = H5Dget_space(set), type = H5Dget_type(set);
  hsize_t dim[H5S_MAX_RANK];
  bool same = space >= 0 && type >= 0 && H5Tequal(type, stored_type(tensor->dtype)) > 0 &&
              H5Sis_simple(space) > 0 &&
              H5Sget_simple_extent_ndims(space) == tensor->ndim &&
              H5Sget_simple_extent_dims(space, dim, NULL) == tensor->ndim;
  for (int i = 0; same && i < tensor->ndim; i++) {
    same = dim[i] == (hsize_t)tensor->dim[i];
  }
  pbt_h5_close(&type);
  pbt_h5_close(&space);
  return same;
}

static pbt_status get_tensor(const struct pbt_tensor_file *file,
                             const struct pbt_tensor *tensor, void *image) {
  hid_t set = H5Dopen2(file->file, tensor->name, H5P_DEFAULT);
  if (set < 0) {
    return pbt_fail(PBT_ERR_DATA, "%s has no tensor %s", file->path, tensor->name);
  }
  pbt_status status =
      same_shape(set, tensor)
          ? PBT_H5(H5Dread(set, native_type(tensor->dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                           (char *)image + tensor->offset),
                   PBT_ERR_DATA, "cannot read tensor %s of %s", tensor->name, file->path)
          : pbt_fail(PBT_ERR_DATA,
                     "tensor %s of %s has another shape or type than this job's network",
                     tensor->name, file->path);
  pbt_h5_close(&set);
  return status;
}

pbt_status pbt_tensor_file_read(struct pbt_tensor_file *file,
                                const struct pbt_state *state, unsigned roles,
                                void *image) {
  for (size_t i = 0; i < state->n; i++) {
    if (state->tensor[i].role & roles) {
      PBT_TRY(get_tensor(file, &state->tensor[i], image));
    }
  }
  return PBT_OK;
}

static pbt_status in_file(const struct pbt_tensor_file *file, pbt_status status) {
  return status == PBT_OK ? PBT_OK : pbt_context(status, "%s", file->path);
}

pbt_status pbt_tensor_file_text(struct pbt_tensor_file *file, const char *name,
                                char **text) {
  return in_file(file, pbt_h5_get_text(file->file, name, text));
}

pbt_status pbt_tensor_file_integer(struct pbt_tensor_file *file, const char *name,
                                   int64_t *value) {
  return in_file(file, pbt_h5_get_integer(file->file, name, value));
}

pbt_status pbt_tensor_file_real(struct pbt_tensor_file *file, const char *name,
                                double *value) {
  return in_file(file, pbt_h5_get_real(file->file, name, value));
}
