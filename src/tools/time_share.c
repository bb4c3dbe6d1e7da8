#include "tools/time_share.h"

#include <math.h>
#include <string.h>

static const char *const phase_name[PBT_PHASES] = {
    [PBT_PHASE_TRAIN] = "train",       [PBT_PHASE_EVALUATE] = "evaluate",
    [PBT_PHASE_EXCHANGE] = "exchange", [PBT_PHASE_RECORD] = "record",
    [PBT_PHASE_IDLE] = "idle",
};

const char *time_share_phase(enum pbt_phase phase) {
  return phase_name[phase];
}

/* Whoever was idle for the shortest time came last; nobody did where all waited alike. */
static void blame(const struct history *history, int64_t generation,
                  struct time_share share[]) {
  int64_t last = -1;
  double least = 0.0, sum = 0.0;
  bool differ = false;
  for (int64_t m = 0; m < history->n_member; m++) {
    double idle = history->seconds[PBT_PHASE_IDLE][history_at(history, generation, m)];
    if (!isfinite(idle)) {
      continue;
    }
    differ = differ || (last >= 0 && idle != least);
    if (last < 0 || idle < least) {
      last = m;
      least = idle;
    }
    sum += idle;
  }
  if (differ) {
    share[last].last++;
    share[last].others_waited += sum - least;
  }
}

void time_share_of(const struct history *history, struct time_share share[]) {
  memset(share, 0, (size_t)history->n_member * sizeof *share);
  for (int64_t g = 0; g < history->n_generation; g++) {
    for (int64_t m = 0; m < history->n_member; m++) {
      for (int p = 0; p < PBT_PHASES; p++) {
        double seconds = history->seconds[p][history_at(history, g, m)];
        share[m].seconds[p] += isfinite(seconds) ? seconds : 0.0;
        share[m].total += isfinite(seconds) ? seconds : 0.0;
      }
    }
    blame(history, g, share);
  }
}

struct time_share time_share_sum(const struct time_share share[], int64_t n) {
  struct time_share sum = {0};
  for (int64_t m = 0; m < n; m++) {
    for (int p = 0; p < PBT_PHASES; p++) {
      sum.seconds[p] += share[m].seconds[p];
    }
    sum.total += share[m].total;
    sum.last += share[m].last;
    sum.others_waited += share[m].others_waited;
  }
  return sum;
}
