/*
 * child.h - work that may crash, hang or fill the memory, done in a process of its own.
 *
 * For code of others that reads bytes nobody vouches for.  It guards against accidents,
 * not against an attacker: the child may do what its parent may.
 */
#ifndef PBT_BASE_CHILD_H
#define PBT_BASE_CHILD_H

#include "base/status.h"

/* Runs work(with) in a forked child, with so many seconds of processor time and no more
 * memory than the machine has, and waits for it.  PBT_OK if it came to its end, whatever
 * that was: it is tried for its death only.  PBT_ERR_DATA with what ended it otherwise.
 * Before MPI and threads start. */
pbt_status pbt_child_try(void (*work)(void *), void *with, double seconds);

#endif
