#!/usr/bin/env bash
# Cross-compiles base, backend and net for aarch64 and runs their tests under qemu-user.
#
#   tests/aarch64.sh [BUILD-FOLDER]
#
# Takes some five minutes.  Wants gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user
# on this machine (Debian: apt-get install).  The target's libraries (check, subunit,
# xxhash) are fetched as packages and unpacked in the build folder; nothing of this machine
# is changed, and no rights are needed.  Where something cannot be had it says what, and
# leaves with 77: skipped.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build/aarch64}

skip() {
  echo "skipped: $1"
  exit 77
}

for tool in aarch64-linux-gnu-gcc qemu-aarch64 cmake dpkg-deb apt-get; do
  command -v "$tool" >/dev/null || skip "no $tool here"
done
echo 'int main(void) { return 0; }' | aarch64-linux-gnu-gcc -x c -static -o /dev/null - 2>/dev/null ||
  skip "aarch64-linux-gnu-gcc does not link (libc6-dev-arm64-cross?)"
packages=$build/packages
mkdir -p "$packages"

# An apt of its own: another architecture, and its own lists.
fetch() {
  local apt=$build/apt
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
  : >"$apt/state/status"
  local options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64
    -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/state/status"
    -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=$(id -un)")
  apt-get "${options[@]}" update >"$build/apt.log" 2>&1 || return 1
  (cd "$apt" && apt-get "${options[@]}" download check libsubunit-dev libxxhash-dev \
    >>"$build/apt.log" 2>&1) || return 1
  local file
  for file in "$apt"/*.deb; do
    dpkg-deb -x "$file" "$packages"
  done
}

[ -e "$packages/usr/lib/aarch64-linux-gnu/libcheck.a" ] || fetch ||
  skip "no packages for arm64 (see $build/apt.log)"
cmake -S "$root/tests/aarch64" -B "$build/tests" -DPACKAGES="$packages" \
  -DCMAKE_TOOLCHAIN_FILE="$root/tests/aarch64/toolchain.cmake" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build/tests" -j "$(nproc)"
ctest --test-dir "$build/tests" --output-on-failure --no-tests=error -j "$(nproc)"
