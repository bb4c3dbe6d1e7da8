# shellcheck shell=bash
# our_files ROOT PATTERN...: the repository's files of these patterns, one a line; where
# this is no git checkout, all such files that lie in our folders.
our_files() {
  local root=$1 pattern
  shift
  if git -C "$root" rev-parse >/dev/null 2>&1; then
    git -C "$root" ls-files -- "$@"
    return
  fi
  for pattern in "$@"; do
    (cd "$root" && find src tests kernels jobs .ci -path "*${pattern#\*}" 2>/dev/null)
  done
}
