/*
 * replay.h - the schedule of a recorded run as settings for another.
 */
#ifndef PBT_PBT_REPLAY_H
#define PBT_PBT_REPLAY_H

#include <stdbool.h>

#include "base/status.h"
#include "base/text.h"

/* `what` is RUN or RUN:MEMBER.  Walks the lineage of RUN back from its winner (or from
 * MEMBER in its last generation) through its donors, and adds one "key=value" a line, as
 * for --set: exploit.kind=none, explore.kind=replay and the schedule of each
 * hyperparameter; `final`: only its last value, to be held from the start.  PBT_ERR_DATA
 * if there is no such member, or nothing to replay.  Local: for one rank, which shares
 * the lines. */
pbt_status pbt_replay_settings(const char *what, bool final, struct pbt_text *settings);

#endif
