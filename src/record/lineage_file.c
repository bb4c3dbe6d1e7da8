#include "record/lineage_file.h"

#include <math.h>
#include <stdio.h>

#define ROW(field) offsetof(struct pbt_lineage_row, field)

static const char *const event_name[PBT_EVENTS] = {
    [PBT_KEPT] = "kept",           [PBT_COPIED] = "copied", [PBT_DIVERGED] = "diverged",
    [PBT_RESTARTED] = "restarted", [PBT_MOVED] = "moved",   [PBT_CLONED] = "cloned",
    [PBT_RETIRED] = "retired",     [PBT_ABSENT] = "absent",
};

static const char *const move_name[PBT_MOVES] = {
    [PBT_MOVE_NONE] = "none",
    [PBT_MOVE_INHERITED] = "inherited",
    [PBT_MOVE_PERTURBED] = "perturbed",
    [PBT_MOVE_RESAMPLED] = "resampled",
};

const char *pbt_event_name(enum pbt_event event) {
  return (unsigned)event < PBT_EVENTS ? event_name[event] : "unknown";
}

const char *pbt_move_name(enum pbt_move move) {
  return (unsigned)move < PBT_MOVES ? move_name[move] : "unknown";
}

void pbt_lineage_absent(const struct pbt_hparam hparam[], int32_t n_hparam,
                        int32_t member, struct pbt_lineage_row *row) {
  const double nan = (double)NAN;
  *row = (struct pbt_lineage_row){.fitness = nan,
                                  .validation_loss = nan,
                                  .validation_accuracy = nan,
                                  .validation_macro_f1 = nan,
                                  .training_loss = nan,
                                  .parent = member,
                                  .event = PBT_ABSENT};
  for (int32_t h = 0; h < n_hparam; h++) {
    row->value[h] = row->next[h] = hparam[h].low;
  }
}

#define SECONDS(phase) (ROW(seconds) + (phase) * sizeof(double))

static const struct pbt_column fixed[PBT_COLUMNS_FIXED] = {
    {"fitness", PBT_COLUMN_F64, 8, ROW(fitness), -1},
    {"validation_loss", PBT_COLUMN_F64, 8, ROW(validation_loss), -1},
    {"validation_accuracy", PBT_COLUMN_F64, 8, ROW(validation_accuracy), -1},
    {"validation_macro_f1", PBT_COLUMN_F64, 8, ROW(validation_macro_f1), -1},
    {"training_loss", PBT_COLUMN_F64, 8, ROW(training_loss), -1},
    {"steps", PBT_COLUMN_I64, 8, ROW(steps), -1},
    {"parent", PBT_COLUMN_I32, 4, ROW(parent), -1},
    {"event", PBT_COLUMN_EVENT, 1, ROW(event), -1},
    {"digest_before", PBT_COLUMN_U64, 8, ROW(digest_before), -1},
    {"digest_after", PBT_COLUMN_U64, 8, ROW(digest_after), -1},
    {"seconds/train", PBT_COLUMN_F64, 8, SECONDS(PBT_PHASE_TRAIN), -1},
    {"seconds/evaluate", PBT_COLUMN_F64, 8, SECONDS(PBT_PHASE_EVALUATE), -1},
    {"seconds/exchange", PBT_COLUMN_F64, 8, SECONDS(PBT_PHASE_EXCHANGE), -1},
    {"seconds/record", PBT_COLUMN_F64, 8, SECONDS(PBT_PHASE_RECORD), -1},
    {"seconds/idle", PBT_COLUMN_F64, 8, SECONDS(PBT_PHASE_IDLE), -1},
};

size_t pbt_lineage_columns(const struct pbt_hparam hparam[], int32_t n_hparam,
                           struct pbt_column column[PBT_COLUMNS_MAX]) {
  size_t n = 0;
  for (size_t i = 0; i < PBT_COLUMNS_FIXED; i++) {
    column[n++] = fixed[i];
  }
  static const char *const group[] = {"hparam", "hparam_next", "hparam_move"};
  for (int32_t i = 0; i < n_hparam; i++) {
    size_t k = (size_t)i;
    const struct pbt_column three[] = {
        {"", PBT_COLUMN_F64, 8, ROW(value) + 8 * k, i},
        {"", PBT_COLUMN_F64, 8, ROW(next) + 8 * k, i},
        {"", PBT_COLUMN_MOVE, 1, ROW(move) + k, -1},
    };
    for (size_t j = 0; j < 3; j++) {
      column[n] = three[j];
      snprintf(column[n].name, sizeof column[n].name, "%s/%.*s", group[j],
               PBT_HPARAM_NAME - 1, hparam[i].name);
      n++;
    }
  }
  return n;
}

static hid_t enum_type(const char *const name[], uint8_t n, bool native) {
  hid_t type = H5Tenum_create(native ? H5T_NATIVE_UINT8 : H5T_STD_U8LE);
  for (uint8_t i = 0; type >= 0 && i < n; i++) {
    if (H5Tenum_insert(type, name[i], &i) < 0) {
      pbt_h5_close(&type);
    }
  }
  return type;
}

hid_t pbt_column_type_open(enum pbt_column_type type, bool native) {
  switch (type) {
  case PBT_COLUMN_F64:
    return H5Tcopy(native ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE);
  case PBT_COLUMN_I64:
    return H5Tcopy(native ? H5T_NATIVE_INT64 : H5T_STD_I64LE);
  case PBT_COLUMN_I32:
    return H5Tcopy(native ? H5T_NATIVE_INT32 : H5T_STD_I32LE);
  case PBT_COLUMN_U64:
    return H5Tcopy(native ? H5T_NATIVE_UINT64 : H5T_STD_U64LE);
  case PBT_COLUMN_EVENT:
    return enum_type(event_name, PBT_EVENTS, native);
  case PBT_COLUMN_MOVE:
    return enum_type(move_name, PBT_MOVES, native);
  }
  return -1;
}

/* One field of a compound row: a number, or `text` bytes of text. */
struct field {
  const char *name;
  size_t offset;
  enum pbt_column_type type;
  size_t text;
};

/* As in memory; as stored the same without the gaps. */
static hid_t compound(const struct field field[], size_t n, size_t bytes, bool native) {
  hid_t type = H5Tcreate(H5T_COMPOUND, bytes);
  bool fine = type >= 0;
  for (size_t i = 0; fine && i < n; i++) {
    hid_t one = field[i].text > 0 ? pbt_h5_text_type(field[i].text)
                                  : pbt_column_type_open(field[i].type, native);
    fine = one >= 0 && H5Tinsert(type, field[i].name, field[i].offset, one) >= 0;
    pbt_h5_close(&one);
  }
  if (fine && !native) {
    fine = H5Tpack(type) >= 0;
  }
  if (!fine) {
    pbt_h5_close(&type);
  }
  return type;
}

hid_t pbt_commit_type_open(bool native) {
#define COMMIT(field) #field, offsetof(struct pbt_lineage_commit, field)
  static const struct field field[] = {
      {COMMIT(generation), PBT_COLUMN_I64, 0},
      {COMMIT(unix_time), PBT_COLUMN_F64, 0},
      {COMMIT(best_member), PBT_COLUMN_I32, 0},
      {COMMIT(best_generation), PBT_COLUMN_I32, 0},
      {COMMIT(best_fitness), PBT_COLUMN_F64, 0},
      {COMMIT(copies), PBT_COLUMN_I32, 0},
  };
  return compound(field, sizeof field / sizeof *field, sizeof(struct pbt_lineage_commit),
                  native);
}

hid_t pbt_start_type_open(bool native) {
#define START(field) #field, offsetof(struct pbt_lineage_start, field)
#define START_TEXT(field)                                                                \
  START(field), PBT_COLUMN_U64, sizeof(((struct pbt_lineage_start *)NULL)->field)
  static const struct field field[] = {
      {START_TEXT(time)},
      {START_TEXT(host)},
      {START_TEXT(job_id)},
      {START_TEXT(git_id)},
      {START_TEXT(device)},
      {START(ranks), PBT_COLUMN_I32, 0},
      {START(generation), PBT_COLUMN_I64, 0},
  };
  return compound(field, sizeof field / sizeof *field, sizeof(struct pbt_lineage_start),
                  native);
}

hid_t pbt_select_row(hid_t set, int64_t row, int64_t n) {
  const hsize_t start[2] = {(hsize_t)row, 0}, count[2] = {1, (hsize_t)n};
  hid_t space = H5Dget_space(set);
  if (space >= 0 &&
      H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0) {
    pbt_h5_close(&space);
  }
  return space;
}

int64_t pbt_lineage_chunk(int64_t n_member, int64_t n_generation) {
  enum { INDEXED = 8176, CHECKSUM = 4 };
  int64_t row = n_member * PBT_COLUMN_ITEM;
  int64_t commit = (int64_t)sizeof(struct pbt_lineage_commit);
  int64_t most = (PBT_LINEAGE_PAGE - CHECKSUM) / (row > commit ? row : commit);
  int64_t wanted = (n_generation + INDEXED - 1) / INDEXED;
  return most < 1 || wanted < 1 ? 1 : wanted < most ? wanted : most;
}

hid_t pbt_lineage_creation(void) {
  hid_t creation = pbt_h5_timeless(H5P_FILE_CREATE);
  if (creation >= 0 &&
      (H5Pset_file_space_strategy(creation, H5F_FSPACE_STRATEGY_PAGE, false, 1) < 0 ||
       H5Pset_file_space_page_size(creation, PBT_LINEAGE_PAGE) < 0)) {
    pbt_h5_close(&creation);
  }
  return creation;
}

hid_t pbt_lineage_access(void) {
  enum { ATTEMPTS = 22 }; // naps of 1, 2, 4, ... ns between them: 4 ms in all
  hid_t access = pbt_h5_access(H5F_LIBVER_V110);
  if (access >= 0 && (H5Pset_file_locking(access, true, true) < 0 ||
                      H5Pset_metadata_read_attempts(access, ATTEMPTS) < 0 ||
                      H5Pset_cache(access, 0, 0, 0, 0) < 0)) {
    pbt_h5_close(&access);
  }
  return access;
}

hid_t pbt_lineage_transfer(void) {
  hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
  if (transfer >= 0 && H5Pset_buffer(transfer, 4096, NULL, NULL) < 0) {
    pbt_h5_close(&transfer);
  }
  return transfer;
}
