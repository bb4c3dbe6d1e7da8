#!/usr/bin/env bash
# Makes build/ ready: installs the Debian packages that are missing, configures, builds.
# Does only what is needed, so a second call takes a second.
#
#   jobs/prepare.sh run              the program
#   jobs/prepare.sh test [OPTION]    the program and its tests, warnings as errors;
#                                    OPTIONs go to cmake
#
# jobs/quickstart.sh and tests/run.sh begin with it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build

packages=(build-essential cmake ninja-build pkg-config openmpi-bin libopenmpi-dev
  libhdf5-dev hdf5-tools zlib1g-dev libxxhash-dev librandom123-dev libtomlplusplus-dev)
test_packages=(check python3 python3-numpy python3-h5py clang-format shellcheck
  clang libclang-rt-dev)
oracles=(chromium graphviz mandoc python3-biopython python3-pip python3-scipy)

say() {
  printf '%s\n' "$*" >&2
}

stop() {
  say "prepare: $*"
  exit 69
}

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# Installs those that are missing; fails, with the last words of apt-get, where it cannot.
install() {
  local missing=()
  local package
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  if [ ${#missing[@]} = 0 ]; then
    return
  fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "prepare: as root, please run: apt-get install ${missing[*]}"
    return 1
  fi
  say "prepare: installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    say "prepare: apt-get could not install: ${missing[*]}"
    return 1
  fi
  rm -f "$log"
}

# What some tests are held against; without it they skip and say so.  Tried once: a machine
# without a network shall not wait for it each time (rm build/oracles.tried to try again).
install_oracles() {
  if [ -e "$build/oracles.tried" ]; then
    return
  fi
  mkdir -p "$build"
  touch "$build/oracles.tried"
  install "${oracles[@]}" || true
  if [ ! -d "$build/oracles/tensorboard" ] && [ -x /usr/bin/python3 ]; then
    say "prepare: asking pip for TensorBoard"
    timeout 180 /usr/bin/python3 -m pip install -q --target "$build/oracles" \
      tensorboard 'numpy<2' >/dev/null 2>&1 || {
      say "prepare: pip did not bring TensorBoard"
      rm -rf "$build/oracles"
    }
  fi
}

# A build folder of another source tree (a copied one) or another generator begins afresh.
configure() {
  local cache=$build/CMakeCache.txt fresh=()
  if [ -f "$cache" ] && ! { grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache" &&
    grep -qxF "CMAKE_GENERATOR:INTERNAL=Ninja" "$cache"; }; then
    fresh=(--fresh)
  fi
  if [ -f "$build/build.ninja" ] && [ ${#fresh[@]} = 0 ] && [ $# = 0 ]; then
    return # ninja itself asks cmake again when it must
  fi
  local log
  log=$(mktemp)
  if ! cmake ${fresh[@]+"${fresh[@]}"} -S "$root" -B "$build" -G Ninja "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

kind=${1:-}
case $kind in
run)
  shift
  targets=(pbt_mpi)
  # Without the tests' packages the tests cannot be configured; once they are, they stay.
  if [ -f "$build/CMakeCache.txt" ]; then
    options=()
  else
    options=(-DBUILD_TESTING=OFF)
  fi
  ;;
test)
  shift
  targets=(all)
  packages+=("${test_packages[@]}")
  options=(-DBUILD_TESTING=ON -DPBT_WERROR=ON "$@")
  # The python that has the packages above, whichever else comes first in PATH.
  if [ -x /usr/bin/python3 ]; then
    options+=(-DPython3_EXECUTABLE=/usr/bin/python3)
  fi
  ;;
*)
  stop "usage: jobs/prepare.sh run|test [cmake options]"
  ;;
esac

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  install "${packages[@]}" || exit 69
  if [ "$kind" = test ]; then
    install_oracles
  fi
  configure ${options[@]+"${options[@]}"} || stop "cmake failed; its words are above"
elif ! { command -v cmake && command -v ninja; } >/dev/null ||
  ! configure ${options[@]+"${options[@]}"}; then
  stop "no apt-get here; please install what Debian calls: ${packages[*]}"
fi
cmake --build "$build" --target "${targets[@]}" >"$build/build.log" 2>&1 || {
  tail -n 40 "$build/build.log" >&2
  stop "the build failed; all of its output is in $build/build.log"
}
