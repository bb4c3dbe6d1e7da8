#include "base/fault.h"

#include "base/log.h" // pbt_log_rank

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pbt_status pbt_fault(const char *site, pbt_status status) {
  static _Atomic int calls; // of the one site that the environment names
  const char *order = getenv("PBT_FAULT");
  if (order == NULL) {
    return PBT_OK;
  }
  char name[64] = "", action[8] = "fail";
  int rank = 0, nth = 0;
  if (sscanf(order, "%63[^:]:%d:%d:%7s", name, &rank, &nth, action) < 3 ||
      strcmp(name, site) != 0 || rank != pbt_log_rank() || ++calls != nth) {
    return PBT_OK;
  }
  if (strcmp(action, "kill") == 0) {
    raise(SIGKILL);
  }
  return pbt_fail(status, "injected fault at %s", site);
}
