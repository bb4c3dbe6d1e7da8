/* Whether MPI itself reads and writes the memory of a GPU: only an MPI that says so. */
#include "comm/comm_private.h"

#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif

/* 1: yes, 0: no, -1: this MPI cannot be asked. */
static int reaches_device(void) {
#if defined MPIX_CUDA_AWARE_SUPPORT || defined MPIX_GPU_SUPPORT_CUDA
  return MPIX_Query_cuda_support() != 0;
#else
  return -1;
#endif
}

pbt_status pbt_comm_device_memory(void) {
  int answer = reaches_device();
  if (answer == 1) {
    return PBT_OK;
  }
  return pbt_fail(PBT_ERR_UNAVAILABLE,
                  "PBT_CUDA_AWARE_MPI=1, but this MPI (%s) %s reach a GPU's memory; "
                  "unset it, or use an MPI built with CUDA",
                  pbt_comm_library(),
                  answer == 0 ? "says that it does not" : "does not say that it can");
}
