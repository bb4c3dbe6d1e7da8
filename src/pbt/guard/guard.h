/* guard.h - what a copy must pass on top of its exploit method; job/methods.h is the
 * table. */
#ifndef PBT_PBT_GUARD_GUARD_H
#define PBT_PBT_GUARD_GUARD_H

#include "pbt/method.h"

#define PBT_GUARD_OBJECT(NAME, name) extern const struct pbt_method pbt_guard_##name;
PBT_GUARD_METHODS(PBT_GUARD_OBJECT)

#endif
