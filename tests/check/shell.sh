#!/usr/bin/env bash
# Our scripts, looked at by shellcheck.   shell.sh ROOT
set -euo pipefail
root=$1
# shellcheck source-path=SCRIPTDIR source=files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

if ! command -v shellcheck >/dev/null; then
  echo "SKIP: shellcheck is not installed"
  exit 77
fi
mapfile -t files < <(our_files "$root" '*.sh' '.ci/run')
cd "$root"
shellcheck -x "${files[@]}"
echo "${#files[@]} scripts"
