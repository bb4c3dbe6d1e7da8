#include "pbt/replay.h"

#include "base/file.h"      // paths
#include "base/memory.h"    // rows, values
#include "record/lineage.h" // the recorded run

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replay {
  char run[PBT_PATH_BYTES];
  int64_t member; // -1: the winner
  struct pbt_lineage_shape shape;
  struct pbt_lineage_row *row;
  double (*value)[PBT_MAX_HPARAM]; // by generation
  int64_t first, last;             // of those that are known
};

/* RUN:MEMBER, where what follows the last colon is all digits. */
static pbt_status split(const char *what, struct replay *replay) {
  const char *colon = strrchr(what, ':');
  size_t length = strlen(what);
  replay->member = -1;
  if (colon != NULL && colon[1] != '\0' &&
      strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
    replay->member = strtoll(colon + 1, NULL, 10);
    length = (size_t)(colon - what);
  }
  if (length >= sizeof replay->run) {
    return pbt_fail(PBT_ERR_USAGE, "--replay %.80s...: the path is too long", what);
  }
  memcpy(replay->run, what, length);
  return PBT_OK;
}

static pbt_status find_end(struct pbt_lineage_reader *reader, struct replay *replay) {
  int64_t n = replay->shape.n_generation;
  if (n == 0) {
    return pbt_fail(PBT_ERR_DATA, "%s holds no generation to replay", replay->run);
  }
  if (replay->member >= replay->shape.n_member) {
    return pbt_fail(PBT_ERR_DATA, "%s has members 0 to %lld, not %lld", replay->run,
                    (long long)replay->shape.n_member - 1, (long long)replay->member);
  }
  struct pbt_lineage_commit commit;
  PBT_TRY(pbt_lineage_read(reader, n - 1, replay->row, &commit));
  replay->last = n - 1;
  if (replay->member < 0) {
    replay->member = commit.best_member;
    replay->last = commit.best_generation;
  }
  return replay->member < 0 ? pbt_fail(PBT_ERR_DATA, "%s has no winner", replay->run)
                            : PBT_OK;
}

static pbt_status walk(struct pbt_lineage_reader *reader, struct replay *replay) {
  struct pbt_lineage_commit commit;
  int64_t member = replay->member;
  PBT_TRY(PBT_NEW(replay->last + 1, &replay->value));
  for (int64_t g = replay->last; g >= 0; g--) {
    PBT_TRY(pbt_lineage_read(reader, g, replay->row, &commit));
    if (g < replay->last) {
      member = replay->row[member].parent;
    }
    if (member < 0) { // it began afresh here
      break;
    }
    memcpy(replay->value[g], replay->row[member].value, sizeof replay->value[g]);
    replay->first = g;
  }
  return PBT_OK;
}

static pbt_status print(const struct replay *replay, bool final,
                        struct pbt_text *settings) {
  int64_t n = replay->last - replay->first + 1;
  if (!final && n > PBT_MAX_SCHEDULE) {
    return pbt_fail(PBT_ERR_DATA,
                    "%s: the schedule has %lld generations; at most %d can be replayed",
                    replay->run, (long long)n, PBT_MAX_SCHEDULE);
  }
  pbt_text_add(settings, "exploit.kind=none\nexplore.kind=replay\n");
  for (int32_t h = 0; h < replay->shape.n_hparam; h++) {
    const struct pbt_hparam *hparam = &replay->shape.hparam[h];
    pbt_text_add(settings, "search.%s.schedule=[", hparam->name);
    for (int64_t g = final ? replay->last : replay->first; g <= replay->last; g++) {
      double value = pbt_hparam_effective(hparam, replay->value[g][h]);
      pbt_text_add(settings, "%.17g%s", value, g < replay->last ? ", " : "");
    }
    pbt_text_add(settings, "]\n");
  }
  return settings->status;
}

pbt_status pbt_replay_settings(const char *what, bool final, struct pbt_text *settings) {
  struct replay replay = {.member = -1};
  struct pbt_lineage_reader *reader = NULL;
  char path[PBT_PATH_BYTES];
  PBT_TRY(split(what, &replay));
  PBT_TRY(pbt_path_join(path, replay.run, "lineage.h5"));
  PBT_TRY(pbt_lineage_open(path, &reader, &replay.shape));
  pbt_status status = PBT_NEW(replay.shape.n_member, &replay.row);
  if (status == PBT_OK) {
    status = find_end(reader, &replay);
  }
  if (status == PBT_OK) {
    status = walk(reader, &replay);
  }
  if (status == PBT_OK) {
    status = print(&replay, final, settings);
  }
  pbt_mem_free(replay.value);
  pbt_mem_free(replay.row);
  pbt_lineage_reader_close(reader);
  return status;
}
