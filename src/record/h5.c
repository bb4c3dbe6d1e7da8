#include "record/h5.h"

#include "base/memory.h" // pbt_mem_alloc

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT = 1 << 24 }; // bytes of a text attribute that we are willing to read

/* After a full disk HDF5's own cleanup at exit crashes on what it could not write; ours
 * is explicit, so it is told to stay away, which must be its first call. */
void pbt_h5_quiet(void) {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* The first entry visited upward is the innermost one, where the failure was found. */
static herr_t take_innermost(unsigned n, const H5E_error2_t *entry, void *text) {
  if (n == 0) {
    snprintf(text, PBT_ERROR_BYTES, "%s", entry->desc == NULL ? "" : entry->desc);
  }
  return 0;
}

/* The drivers' messages hold a date with a newline and buffer addresses; all that a
 * person wants of them is the system's reason. */
static void shorten(char *text) {
  static const char mark[] = "error message = '";
  char *reason = strstr(text, mark);
  if (reason != NULL) {
    reason += sizeof mark - 1;
    memmove(text, reason, strlen(reason) + 1);
    text[strcspn(text, "'")] = '\0';
  }
  text[strcspn(text, "\n")] = '\0';
}

pbt_status pbt_h5_fail(pbt_status status, const char *format, ...) {
  char reason[PBT_ERROR_BYTES] = "", what[PBT_ERROR_BYTES];
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, reason);
  shorten(reason);
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  return pbt_fail(status, "%s (HDF5: %s)", what,
                  reason[0] == '\0' ? "no reason given" : reason);
}

void pbt_h5_close(hid_t *id) {
  if (*id >= 0) {
    H5Idec_ref(*id);
  }
  *id = -1;
}

bool pbt_h5_close_file(hid_t *file) {
  bool fine = *file < 0 || H5Fclose(*file) >= 0;
  *file = -1;
  return fine;
}

int64_t pbt_h5_balance(void) {
  return (int64_t)H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
}

hid_t pbt_h5_text_type(size_t bytes) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (type >= 0 && (H5Tset_size(type, bytes > 0 ? bytes : 1) < 0 ||
                    H5Tset_cset(type, H5T_CSET_UTF8) < 0 ||
                    H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
    pbt_h5_close(&type);
  }
  return type;
}

hid_t pbt_h5_access(H5F_libver_t low) {
  hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  if (list >= 0 && (H5Pset_libver_bounds(list, low, H5F_LIBVER_V110) < 0 ||
                    H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) < 0)) {
    pbt_h5_close(&list);
  }
  return list;
}

hid_t pbt_h5_timeless(hid_t class_id) {
  hid_t list = H5Pcreate(class_id);
  if (list >= 0 && H5Pset_obj_track_times(list, false) < 0) {
    pbt_h5_close(&list);
  }
  return list;
}

/* An attribute of n items, or a scalar for n = 0. */
static pbt_status put(hid_t object, const char *name, hid_t stored, hid_t given,
                      const void *data, size_t n) {
  pbt_status status;
  hid_t space = -1, attribute = -1;
  hsize_t count = n;
  PBT_TRY_TO(
      done, status,
      PBT_H5(space = n == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, NULL),
             PBT_ERR_IO, "cannot make attribute %s", name));
  PBT_TRY_TO(done, status,
             PBT_H5(attribute =
                        H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT),
                    PBT_ERR_IO, "cannot make attribute %s", name));
  PBT_TRY_TO(done, status,
             PBT_H5(H5Awrite(attribute, given, data), PBT_ERR_IO,
                    "cannot write attribute %s", name));
done:
  pbt_h5_close(&attribute);
  pbt_h5_close(&space);
  return status;
}

pbt_status pbt_h5_put_texts(hid_t object, const char *name, const void *text,
                            size_t bytes, size_t n) {
  hid_t type = pbt_h5_text_type(bytes);
  PBT_TRY(PBT_H5(type, PBT_ERR_IO, "cannot make attribute %s", name));
  pbt_status status = put(object, name, type, type, text, n);
  pbt_h5_close(&type);
  return status;
}

pbt_status pbt_h5_put_text(hid_t object, const char *name, const char *text) {
  return pbt_h5_put_texts(object, name, text, strlen(text), 0);
}

pbt_status pbt_h5_put_integer(hid_t object, const char *name, int64_t value) {
  return put(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, 0);
}

pbt_status pbt_h5_put_unsigned(hid_t object, const char *name, uint64_t value) {
  return put(object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value, 0);
}

pbt_status pbt_h5_put_reals(hid_t object, const char *name, const double value[],
                            size_t n) {
  return put(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, value, n);
}

/* An attribute opened for reading. */
struct attribute {
  hid_t id, type;
  H5T_class_t kind;
  size_t item_bytes; // of the stored type
  bool scalar;
  size_t n;
};

static void attribute_close(struct attribute *attribute) {
  pbt_h5_close(&attribute->type);
  pbt_h5_close(&attribute->id);
}

static pbt_status attribute_open(hid_t object, const char *name, H5T_class_t kind,
                                 struct attribute *attribute) {
  *attribute = (struct attribute){.id = -1, .type = -1};
  htri_t there = H5Aexists(object, name);
  if (there <= 0) {
    return pbt_fail(PBT_ERR_DATA, "attribute %s is missing", name);
  }
  attribute->id = H5Aopen(object, name, H5P_DEFAULT);
  attribute->type = attribute->id < 0 ? -1 : H5Aget_type(attribute->id);
  hid_t space = attribute->id < 0 ? -1 : H5Aget_space(attribute->id);
  bool readable = attribute->type >= 0 && space >= 0;
  if (readable) {
    attribute->kind = H5Tget_class(attribute->type);
    attribute->item_bytes = H5Tget_size(attribute->type);
    attribute->scalar = H5Sget_simple_extent_type(space) == H5S_SCALAR;
    hssize_t n = H5Sget_simple_extent_npoints(space);
    attribute->n = n > 0 ? (size_t)n : 0;
  }
  pbt_h5_close(&space);
  pbt_status status = PBT_OK;
  if (!readable) {
    status = pbt_h5_fail(PBT_ERR_DATA, "cannot read attribute %s", name);
  } else if (attribute->kind != kind || H5Tis_variable_str(attribute->type) > 0) {
    status = pbt_fail(PBT_ERR_DATA, "attribute %s is of another kind", name);
  }
  if (status != PBT_OK) {
    attribute_close(attribute);
  }
  return status;
}

/* One number, read as `wanted`, or as `wanted_unsigned` if it was stored without sign. */
static pbt_status get_scalar(hid_t object, const char *name, H5T_class_t kind,
                             hid_t wanted, hid_t wanted_unsigned, void *value) {
  struct attribute attribute;
  PBT_TRY(attribute_open(object, name, kind, &attribute));
  bool is_unsigned = kind == H5T_INTEGER && H5Tget_sign(attribute.type) == H5T_SGN_NONE;
  pbt_status status =
      attribute.scalar
          ? PBT_H5(H5Aread(attribute.id, is_unsigned ? wanted_unsigned : wanted, value),
                   PBT_ERR_DATA, "cannot read attribute %s", name)
          : pbt_fail(PBT_ERR_DATA, "attribute %s is not one number", name);
  attribute_close(&attribute);
  return status;
}

/* HDF5 would clip an unsigned value above INT64_MAX; its bits are what is wanted. */
pbt_status pbt_h5_get_integer(hid_t object, const char *name, int64_t *value) {
  return get_scalar(object, name, H5T_INTEGER, H5T_NATIVE_INT64, H5T_NATIVE_UINT64,
                    value);
}

pbt_status pbt_h5_get_real(hid_t object, const char *name, double *value) {
  return get_scalar(object, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, H5T_NATIVE_DOUBLE, value);
}

pbt_status pbt_h5_get_reals(hid_t object, const char *name, double value[], size_t room,
                            size_t *n) {
  struct attribute attribute;
  PBT_TRY(attribute_open(object, name, H5T_FLOAT, &attribute));
  *n = attribute.n;
  pbt_status status =
      attribute.n <= room
          ? PBT_H5(H5Aread(attribute.id, H5T_NATIVE_DOUBLE, value), PBT_ERR_DATA,
                   "cannot read attribute %s", name)
          : pbt_fail(PBT_ERR_DATA, "attribute %s has %zu items", name, attribute.n);
  attribute_close(&attribute);
  return status;
}

static pbt_status read_text(const struct attribute *attribute, const char *name,
                            char *text) {
  return PBT_H5(H5Aread(attribute->id, attribute->type, text), PBT_ERR_DATA,
                "cannot read attribute %s", name);
}

pbt_status pbt_h5_get_text(hid_t object, const char *name, char **text) {
  *text = NULL;
  struct attribute attribute;
  PBT_TRY(attribute_open(object, name, H5T_STRING, &attribute));
  pbt_status status = PBT_OK;
  if (!attribute.scalar || attribute.item_bytes > TEXT_LIMIT) {
    status = pbt_fail(PBT_ERR_DATA, "attribute %s is not one text", name);
  }
  if (status == PBT_OK) { // one byte more, zeroed, ends the text
    status = PBT_NEW(attribute.item_bytes + 1, text);
  }
  if (status == PBT_OK) {
    status = read_text(&attribute, name, *text);
  }
  if (status != PBT_OK) {
    pbt_mem_free(*text);
    *text = NULL;
  }
  attribute_close(&attribute);
  return status;
}

pbt_status pbt_h5_get_texts(hid_t object, const char *name, void *text, size_t bytes,
                            size_t room, size_t *n) {
  struct attribute attribute;
  PBT_TRY(attribute_open(object, name, H5T_STRING, &attribute));
  *n = attribute.n;
  pbt_status status =
      attribute.n <= room && attribute.item_bytes == bytes
          ? read_text(&attribute, name, text)
          : pbt_fail(PBT_ERR_DATA, "attribute %s is not at most %zu texts of %zu bytes",
                     name, room, bytes);
  attribute_close(&attribute);
  return status;
}
