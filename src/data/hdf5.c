/*
 * One HDF5 file as a data set: x [n, c, h, w] and y [n], twice in the groups train/ and
 * test/, or once, and then a share of it is held back for the test.
 *
 * Pixels are bytes in memory whatever they were.  Floats must lie in 0 to 1 and are kept
 * as the nearest of 255 steps, which loses nothing that was made from bytes; anything
 * else is refused rather than guessed at.
 */
#include "data/source.h"
#include "data/split.h"

#include "base/memory.h"       // scratch
#include "record/array_file.h" // the file

#include <stdio.h>
#include <string.h>

enum { MAX_SIDE = 4096, LABELS_AT_ONCE = 1 << 16 };

/* Which samples are held back does not follow data.seed: runs with several seeds are
 * tested on the same images. */
static const uint64_t test_seed = UINT64_C(0x74657374);

struct part { // an x and its y
  char x_name[16], y_name[16];
  struct pbt_array x, y;
};

struct hdf5_data {
  const struct pbt_data_source *source;
  struct pbt_array_file *file;
  bool single; // one x and y for both sets: part[0]
  struct part part[PBT_SETS];
  int32_t c, h, w;
};

static pbt_status look_at_x(struct hdf5_data *data, struct part *part) {
  struct pbt_array *x = &part->x;
  const char *path = data->source->file;
  PBT_TRY(pbt_array_file_look(data->file, part->x_name, x));
  if (!x->is_byte && !x->real) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s of %s holds integers that are no bytes; uint8, or floats in 0 to "
                    "1, are expected",
                    part->x_name, path);
  }
  if (x->ndim < 3) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s of %s has %d dimensions; images are expected as [n, c, h, w], or "
                    "[n, h, w] with one channel",
                    part->x_name, path, x->ndim);
  }
  int64_t c = x->ndim == 4 ? x->dim[1] : 1;
  int64_t h = x->dim[x->ndim - 2], w = x->dim[x->ndim - 1];
  if (c > PBT_MAX_CHANNEL || h > MAX_SIDE || w > MAX_SIDE) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s of %s holds images of %lld x %lld x %lld; [n, c, h, w] with 1 to "
                    "%d channels and sides of at most %d is expected%s",
                    part->x_name, path, (long long)c, (long long)h, (long long)w,
                    PBT_MAX_CHANNEL, MAX_SIDE,
                    w <= PBT_MAX_CHANNEL ? ": are the channels last?" : "");
  }
  if (data->c != 0 && (c != data->c || h != data->h || w != data->w)) {
    return pbt_fail(
        PBT_ERR_DATA,
        "%s of %s holds images of %lld x %lld x %lld, train/x of %d x %d x %d",
        part->x_name, path, (long long)c, (long long)h, (long long)w, data->c, data->h,
        data->w);
  }
  data->c = (int32_t)c;
  data->h = (int32_t)h;
  data->w = (int32_t)w;
  return PBT_OK;
}

static pbt_status look_at_part(struct hdf5_data *data, struct part *part,
                               const char *group) {
  snprintf(part->x_name, sizeof part->x_name, "%sx", group);
  snprintf(part->y_name, sizeof part->y_name, "%sy", group);
  PBT_TRY(look_at_x(data, part));
  PBT_TRY(pbt_array_file_look(data->file, part->y_name, &part->y));
  if (part->y.real || part->y.ndim != 1 || part->y.dim[0] != part->x.dim[0]) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s of %s is expected to be [%lld] integers, a label for each image",
                    part->y_name, data->source->file, (long long)part->x.dim[0]);
  }
  return PBT_OK;
}

static pbt_status look_at_all(struct hdf5_data *data) {
  const struct pbt_data_source *source = data->source;
  data->single = !pbt_array_file_has(data->file, "train");
  if (data->single && !pbt_array_file_has(data->file, "x")) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s has neither train/x nor x; x [n, c, h, w] and y [n] are expected "
                    "in groups train and test, or without groups",
                    source->file);
  }
  if (data->single != (source->test > 0.0)) {
    return pbt_fail(PBT_ERR_DATA,
                    data->single
                        ? "%s has no test set of its own; data.test = 0.2 would "
                          "hold back a fifth of its images"
                        : "%s has a test set of its own, so that data.test has no "
                          "meaning; leave it out",
                    source->file);
  }
  if (data->single) {
    return look_at_part(data, &data->part[PBT_SET_TRAIN], "");
  }
  PBT_TRY(look_at_part(data, &data->part[PBT_SET_TRAIN], "train/"));
  return look_at_part(data, &data->part[PBT_SET_TEST], "test/");
}

/* Close it whatever came back. */
static pbt_status open_data(const struct pbt_data_source *source,
                            struct hdf5_data *data) {
  *data = (struct hdf5_data){.source = source};
  pbt_status status = pbt_array_file_open(source->file, &data->file);
  if (status == PBT_ERR_MISSING) {
    return pbt_context(status, "data.file");
  }
  PBT_TRY(status);
  return look_at_all(data);
}

static void close_data(struct hdf5_data *data) {
  pbt_array_file_close(data->file);
}

static void count_samples(const struct hdf5_data *data, int64_t n[PBT_SETS]) {
  n[PBT_SET_TRAIN] = data->part[PBT_SET_TRAIN].x.dim[0];
  if (data->single) {
    n[PBT_SET_TEST] = pbt_split_count(data->source->test, n[PBT_SET_TRAIN]);
    n[PBT_SET_TRAIN] -= n[PBT_SET_TEST];
  } else {
    n[PBT_SET_TEST] = data->part[PBT_SET_TEST].x.dim[0];
  }
}

static pbt_status measure_hdf5(const struct pbt_data_source *source,
                               struct pbt_data_size *size) {
  struct hdf5_data data;
  pbt_status status = open_data(source, &data);
  if (status == PBT_OK) {
    *size = (struct pbt_data_size){.c = data.c, .h = data.h, .w = data.w};
    const int64_t limit[PBT_SETS] = {source->train_size, source->test_size};
    count_samples(&data, size->n);
    for (int i = 0; i < PBT_SETS; i++) {
      size->n[i] = limit[i] > 0 && limit[i] < size->n[i] ? limit[i] : size->n[i];
    }
  }
  close_data(&data);
  return status;
}

/* The first n labels of a part. */
static pbt_status read_labels(const struct hdf5_data *data, const struct part *part,
                              int64_t n, uint8_t *label) {
  int64_t *block = NULL;
  pbt_status status;
  PBT_TRY_TO(done, status, PBT_NEW(LABELS_AT_ONCE, &block));
  for (int64_t at = 0; at < n; at += LABELS_AT_ONCE) {
    int64_t some = n - at < LABELS_AT_ONCE ? n - at : LABELS_AT_ONCE;
    PBT_TRY_TO(done, status,
               pbt_array_file_read(data->file, part->y_name, &part->y, at, some, PBT_I64,
                                   block));
    for (int64_t i = 0; i < some; i++) {
      if (block[i] < 0 || block[i] >= PBT_DATA_MAX_CLASSES) {
        status = pbt_fail(PBT_ERR_DATA,
                          "label %lld in %s of %s is %lld; labels may be 0 to %d",
                          (long long)(at + i), part->y_name, data->source->file,
                          (long long)block[i], PBT_DATA_MAX_CLASSES - 1);
        goto done;
      }
      label[at + i] = (uint8_t)block[i];
    }
  }
done:
  pbt_mem_free(block);
  return status;
}

/* Where a set's samples come from: row r of the part is sample place[r] of the set, or
 * none of it if that is negative; `label` (rows) may be NULL.  For a file with two sets
 * *place is NULL: row r is sample r. */
static pbt_status place_rows(const struct hdf5_data *data, enum pbt_set set,
                             uint8_t *label, int64_t *place) {
  const struct part *part = &data->part[0];
  int64_t rows = part->x.dim[0], n[PBT_SETS];
  PBT_TRY(read_labels(data, part, rows, label));
  int32_t highest = 0;
  for (int64_t r = 0; r < rows; r++) {
    highest = label[r] > highest ? label[r] : highest;
  }
  pbt_status status =
      pbt_split(label, rows, highest + 1, data->source->test, test_seed, place);
  if (status != PBT_OK) {
    return pbt_context(status, "data.test");
  }
  count_samples(data, n);
  for (int64_t r = 0; r < rows; r++) {
    bool held = place[r] >= n[PBT_SET_TRAIN];
    if (held != (set == PBT_SET_TEST)) {
      place[r] = -1;
    } else if (held) {
      place[r] -= n[PBT_SET_TRAIN];
    }
  }
  return PBT_OK;
}

static pbt_status labels_hdf5(const struct pbt_data_source *source, enum pbt_set set,
                              int64_t n, uint8_t *label) {
  struct hdf5_data data;
  uint8_t *all = NULL;
  int64_t *place = NULL;
  pbt_status status;
  PBT_TRY_TO(done, status, open_data(source, &data));
  if (!data.single) {
    status = read_labels(&data, &data.part[set], n, label);
    goto done;
  }
  int64_t rows = data.part[0].x.dim[0];
  PBT_TRY_TO(done, status, PBT_NEW(rows, &all));
  PBT_TRY_TO(done, status, PBT_NEW(rows, &place));
  PBT_TRY_TO(done, status, place_rows(&data, set, all, place));
  for (int64_t r = 0; r < rows; r++) {
    if (place[r] >= 0 && place[r] < n) {
      label[place[r]] = all[r];
    }
  }
done:
  pbt_mem_free(place);
  pbt_mem_free(all);
  close_data(&data);
  return status;
}

/* Floats of one row as bytes. */
static pbt_status quantise(const struct hdf5_data *data, const struct part *part,
                           int64_t row, const float *value, int64_t n, uint8_t *pixel) {
  for (int64_t i = 0; i < n; i++) {
    if (!(value[i] >= 0.0f && value[i] <= 1.0f)) {
      return pbt_fail(PBT_ERR_DATA,
                      "image %lld in %s of %s holds %g; floats must lie in 0 to 1 (they "
                      "are kept as 255 steps)",
                      (long long)row, part->x_name, data->source->file, (double)value[i]);
    }
    pixel[i] = (uint8_t)(value[i] * 255.0f + 0.5f);
  }
  return PBT_OK;
}

/* Rows of a part to where their samples lie, `n` of them wanted. */
static pbt_status read_images(const struct hdf5_data *data, const struct part *part,
                              const int64_t *place, int64_t n, const int64_t slot[],
                              uint8_t *pixel) {
  const struct pbt_array *x = &part->x;
  int64_t size = (int64_t)data->c * data->h * data->w;
  int64_t rows = place == NULL ? n : x->dim[0];
  int64_t most = rows < x->rows_at_once ? rows : x->rows_at_once;
  void *block = NULL;
  pbt_status status;
  PBT_TRY_TO(done, status,
             pbt_mem_alloc_n((size_t)(most * size), x->real ? sizeof(float) : 1, &block));
  for (int64_t at = 0; at < rows; at += most) {
    int64_t some = rows - at < most ? rows - at : most;
    PBT_TRY_TO(done, status,
               pbt_array_file_read(data->file, part->x_name, x, at, some,
                                   x->real ? PBT_F32 : PBT_U8, block));
    for (int64_t r = 0; r < some; r++) {
      int64_t sample = place == NULL ? at + r : place[at + r];
      if (sample < 0 || sample >= n) {
        continue;
      }
      uint8_t *to = pixel + slot[sample] * size;
      if (x->real) {
        PBT_TRY_TO(
            done, status,
            quantise(data, part, at + r, (const float *)block + r * size, size, to));
      } else {
        memcpy(to, (const uint8_t *)block + r * size, (size_t)size);
      }
    }
  }
done:
  pbt_mem_free(block);
  return status;
}

static pbt_status images_hdf5(const struct pbt_data_source *source, enum pbt_set set,
                              int64_t n, const int64_t slot[], uint8_t *pixel) {
  struct hdf5_data data;
  uint8_t *label = NULL;
  int64_t *place = NULL;
  pbt_status status;
  PBT_TRY_TO(done, status, open_data(source, &data));
  if (data.single) {
    int64_t rows = data.part[0].x.dim[0];
    PBT_TRY_TO(done, status, PBT_NEW(rows, &label));
    PBT_TRY_TO(done, status, PBT_NEW(rows, &place));
    PBT_TRY_TO(done, status, place_rows(&data, set, label, place));
  }
  status = read_images(&data, &data.part[data.single ? 0 : set], place, n, slot, pixel);
done:
  pbt_mem_free(place);
  pbt_mem_free(label);
  close_data(&data);
  return status;
}

const struct pbt_source_ops pbt_source_hdf5 = {
    .measure = measure_hdf5, .labels = labels_hdf5, .images = images_hdf5};
