#!/usr/bin/env bash
# Builds everything with warnings as errors and runs all tests.
#
#   tests/run.sh [CTEST ARGUMENT...]     for instance: tests/run.sh -L unit
#
# Without arguments all but those labelled `long` run (tests/crash, tests/slurm).
# Lists every skipped test with its reason; a skip that tests/skips.txt does not allow is a
# failure.  Real data is used if it lies in ../shared/data beside the repository.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
data=${PBT_DATA_DIR:-}
if [ -z "$data" ] && [ -d "$root/../shared/data" ]; then
  data=$(cd "$root/../shared/data" && pwd)
fi

"$root/jobs/prepare.sh" test "-DPBT_DATA_DIR=$data"

if [ $# = 0 ]; then
  set -- -LE long
fi
report=$build/tests.xml
rm -f "$report"
# The exit code is the report's: ctest does not know which skips are allowed.
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" \
  --output-junit "$report" --test-output-size-passed 100000 "$@" || true
exec python3 "$root/tests/check/report.py" "$report" "$root/tests/skips.txt"
