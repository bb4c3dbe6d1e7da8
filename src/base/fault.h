/*
 * fault.h - failures on demand, so that every error path is tested.
 *
 * PBT_FAULT=site:rank:nth[:kill] in the environment makes the nth call (from 1) of that
 * site on that rank fail with the status the site names, or raises SIGKILL there.  Sites
 * are plain words, listed in docs/errors.md.  Free when the variable is unset.
 */
#ifndef PBT_BASE_FAULT_H
#define PBT_BASE_FAULT_H

#include "base/status.h"

/* `status` with a recorded message when the fault fires, else PBT_OK. */
pbt_status pbt_fault(const char *site, pbt_status status);

#endif
