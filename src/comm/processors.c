/*
 * What a rank may count on of its node's processors.
 *
 * A processor that k ranks of the node may run on counts 1/k for each of them: so ranks
 * that are bound get what they are bound to, and ranks that are not share the node.
 */
#include "comm/comm_private.h"

#include <sched.h>

pbt_status pbt_comm_processors(struct pbt_comm *comm, int *processors) {
  static int mine[CPU_SETSIZE], all[CPU_SETSIZE];
  cpu_set_t set;
  bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  for (size_t c = 0; c < CPU_SETSIZE; c++) {
    mine[c] = known && CPU_ISSET(c, &set);
  }
  PBT_TRY(PBT_MPI(MPI_Allreduce(mine, all, CPU_SETSIZE, MPI_INT, MPI_SUM, comm->node)));
  double share = 0;
  for (size_t c = 0; c < CPU_SETSIZE; c++) {
    share += mine[c] > 0 ? 1.0 / all[c] : 0;
  }
  int whole = (int)(share + 1e-6);
  whole = whole > 1 ? whole : 1;
  return PBT_MPI(MPI_Allreduce(&whole, processors, 1, MPI_INT, MPI_MIN, comm->world));
}
