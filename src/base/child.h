/*
 * child.h - work that may crash, hang or fill the memory, done in a process of its own.
 *
 * For code of others that reads bytes nobody vouches for.  It guards against accidents,
 * not against an attacker: the child may do what its parent may.
 */
#ifndef PBT_BASE_CHILD_H
#define PBT_BASE_CHILD_H

#include "base/status.h"

struct pbt_child {
  int pid; // 0: none
  double seconds;
};

/* Runs work(with) in a forked child, with so many seconds of processor time and no more
 * memory than the machine has.  Before MPI and threads start. */
pbt_status pbt_child_start(void (*work)(void *), void *with, double seconds,
                           struct pbt_child *child);
/* Waits for it.  PBT_OK if it came to its end, whatever that was: it is tried for its
 * death only.  PBT_ERR_DATA with what ended it otherwise. */
pbt_status pbt_child_end(struct pbt_child *child);

#endif
