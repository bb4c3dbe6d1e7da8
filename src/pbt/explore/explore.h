/* explore.h - the ways to explore; job/methods.h is the table. */
#ifndef PBT_PBT_EXPLORE_EXPLORE_H
#define PBT_PBT_EXPLORE_EXPLORE_H

#include "pbt/method.h"

#define PBT_EXPLORE_OBJECT(NAME, name) extern const struct pbt_method pbt_explore_##name;
PBT_EXPLORE_METHODS(PBT_EXPLORE_OBJECT)

#endif
