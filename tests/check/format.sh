#!/usr/bin/env bash
# Is every C file as clang-format 14 would write it?   format.sh ROOT
set -euo pipefail
root=$1
# shellcheck source-path=SCRIPTDIR source=files.sh
. "$(dirname "${BASH_SOURCE[0]}")/files.sh"

# Other versions differ in small things, so the version is part of the style.
for program in clang-format-14 clang-format; do
  if "$program" --version 2>/dev/null | grep -q ' version 14\.'; then
    mapfile -t files < <(our_files "$root" '*.c' '*.h' '*.cpp' '*.cu')
    cd "$root"
    present=()
    for file in "${files[@]}"; do
      [ ! -f "$file" ] || present+=("$file") # deleted, not yet committed
    done
    "$program" --dry-run -Werror "${present[@]}"
    echo "${#present[@]} files"
    exit 0
  fi
done
echo "SKIP: clang-format 14 is not installed"
exit 77
