#!/usr/bin/env bash
# Fuzzes the readers of bytes that come from outside (README.md here).
#
#   tests/fuzz/run.sh SECONDS [TARGET...]     each target for so long
#   tests/fuzz/run.sh RUNSx [TARGET...]       each target so often: run.sh 1000000x lineage
#
# Builds in build/fuzz with clang; wants the program in build/src for inputs to begin with.
# Ends with 1 if there is a crash of ours; reports and inputs lie in build/fuzz/finds.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${PBT_FUZZ_BUILD:-$root/build/fuzz}
program=${PBT_MPI:-$root/build/src/pbt_mpi}
limit=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(job idx cifar10 hdf5 set best lineage)
case $limit in
*x) goal=(--runs "${limit%x}") ;;
*) goal=(--seconds "$limit") ;;
esac

cmake -S "$root" -B "$build" -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPBT_SANITIZE=address,undefined -DPBT_FUZZ=ON \
  -DBUILD_TESTING=OFF -DPBT_CUDA=OFF >/dev/null
cmake --build "$build" --target fuzz -j "$(nproc)" >/dev/null
/usr/bin/python3 -B "$root/tests/fuzz/seeds.py" "$build/seeds" "$program"

failed=0
for target in "${targets[@]}"; do
  /usr/bin/python3 -B "$root/tests/fuzz/drive.py" "${goal[@]}" "$build" "$target" || failed=1
done
exit $failed
