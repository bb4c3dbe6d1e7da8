/* comm_ending - ends in the way the first argument says; comm_ending_test.py watches. */
#include "base/log.h"
#include "comm/comm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Noreturn void end_badly(const char *how, struct pbt_comm *comm) {
  if (strcmp(how, "die") == 0) {
    pbt_comm_die(pbt_fail(PBT_ERR_IO, "the disk of rank %d is full", pbt_log_rank()));
  }
  if (strcmp(how, "die-code") == 0) {
    pbt_comm_die((pbt_status)atoi(getenv("CODE")));
  }
  if (strcmp(how, "kill") == 0) {
    raise(SIGKILL);
  }
  pbt_comm_close(comm);
  exit(EXIT_SUCCESS);
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "close";
  if (strcmp(how, "die-early") == 0) {
    pbt_comm_die(pbt_fail(PBT_ERR_USAGE, "no such option"));
  }
  struct pbt_comm *comm = NULL;
  if (pbt_comm_open(&argc, &argv, &comm) != PBT_OK) {
    pbt_comm_die(PBT_ERR_UNAVAILABLE);
  }
  struct pbt_node_memory memory;
  if (pbt_comm_node_memory(comm, 1 << 20, &memory) != PBT_OK) {
    pbt_comm_die(PBT_ERR_UNAVAILABLE);
  }
  if (pbt_comm_rank(comm) == pbt_comm_size(comm) - 1 || strcmp(how, "close") == 0) {
    end_badly(how, comm);
  }
  pbt_comm_barrier(comm); // the others wait for one who never comes
  return EXIT_SUCCESS;
}
