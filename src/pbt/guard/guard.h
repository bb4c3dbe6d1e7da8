/* guard.h - what a copy must pass on top of its exploit method. */
#ifndef PBT_PBT_GUARD_GUARD_H
#define PBT_PBT_GUARD_GUARD_H

#include "pbt/method.h"

extern const struct pbt_method pbt_guard_welch;
extern const struct pbt_method pbt_guard_dexpbt;

#endif
