/*
 * time_share.h - where members' time went, and who let the others wait.  Pure.
 */
#ifndef PBT_TOOLS_TIME_SHARE_H
#define PBT_TOOLS_TIME_SHARE_H

#include "tools/history.h"

struct time_share {
  double seconds[PBT_PHASES], total;
  int64_t last;         // generations in which it reached the gather last
  double others_waited; // idle seconds of all others in those generations
};

void time_share_of(const struct history *history, struct time_share share[]);
/* `last` and `others_waited` of a sum are those of all. */
struct time_share time_share_sum(const struct time_share share[], int64_t n);
const char *time_share_phase(enum pbt_phase phase); // "train", ...

#endif
