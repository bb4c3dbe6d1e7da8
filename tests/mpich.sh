#!/usr/bin/env bash
# The tests that have to do with MPI, with a second MPI: Debian's MPICH.
#
#   tests/mpich.sh [CTEST ARGUMENT...]     for instance: tests/mpich.sh -R fail
#
# Builds in build/mpich and runs what is labelled mpi, fail, crash or golden, but nothing
# marked `long`.  Needs Debian's libmpich-dev and mpich beside the packages of tests/run.sh.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${PBT_MPICH_BUILD:-$root/build/mpich}
for program in mpicc.mpich mpiexec.mpich; do
  if ! command -v "$program" >/dev/null; then
    echo "SKIP: $program is not there (Debian: apt-get install mpich libmpich-dev)"
    exit 77
  fi
done
data=${PBT_DATA_DIR:-}
if [ -z "$data" ] && [ -d "$root/../shared/data" ]; then
  data=$(cd "$root/../shared/data" && pwd)
fi

# gcc takes MPICH's MPI_STATUSES_IGNORE, an address of 1, for an array of nothing.
cmake -S "$root" -B "$build" -G Ninja -DPBT_WERROR=ON "-DPBT_DATA_DIR=$data" \
  -DCMAKE_C_FLAGS=-Wno-stringop-overflow \
  -DPython3_EXECUTABLE=/usr/bin/python3 -DMPI_C_COMPILER="$(command -v mpicc.mpich)" \
  -DMPIEXEC_EXECUTABLE="$(command -v mpiexec.mpich)" >"$build.log"
cmake --build "$build" >"$build.log"

report=$build/tests.xml
rm -f "$report"
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" \
  -L 'mpi|fail|crash|golden' -LE long --output-junit "$report" \
  --test-output-size-passed 100000 "$@" || true
exec python3 "$root/tests/check/report.py" "$report" "$root/tests/skips.txt"
