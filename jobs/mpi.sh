# shellcheck shell=bash
# Sets what mpirun wants to be told on a small machine.  To be read by other scripts:
#
#   . jobs/mpi.sh RANKS

# mpirun refuses more ranks than cores unless told that this is meant.
if [ "$1" -gt "$(nproc)" ]; then
  export OMPI_MCA_rmaps_base_oversubscribe=1
fi
# mpirun refuses to run as root, as in a container, unless told twice.
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
