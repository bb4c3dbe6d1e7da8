#!/usr/bin/env bash
# From a fresh checkout to a trained population: installs what is missing, builds, and runs
# the built-in job (LeNet-5 on digits that the program draws itself; see jobs/digits.toml).
#
#   jobs/quickstart.sh [RANKS]
#
# A rank is one member of the population; without RANKS there are as many as cores, but at
# least 8 and at most 32.  The run lies in runs/quickstart-RANKS; called again, it goes on
# where it was stopped, or shows the result once it is finished.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cores=$(nproc)
ranks=${1:-$((cores < 8 ? 8 : cores > 32 ? 32 : cores))}
if ! [[ $ranks =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: jobs/quickstart.sh [RANKS]" >&2
  exit 64
fi

"$root/jobs/prepare.sh" run

# shellcheck source-path=SCRIPTDIR source=mpi.sh
. "$root/jobs/mpi.sh" "$ranks"
cd "$root"
run=runs/quickstart-$ranks
echo "$ranks members on $cores cores: mpirun -np $ranks build/src/pbt_mpi --output $run"
mpirun -np "$ranks" build/src/pbt_mpi --output "$run"
cat <<END

Here pbt_mpi is $root/build/src/pbt_mpi; to put it into the path:
  cmake --install build --prefix /usr/local
A job of your own begins with a copy of jobs/digits.toml; real data, with jobs/mnist-lenet5.toml.
END
