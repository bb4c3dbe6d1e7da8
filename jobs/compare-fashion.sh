#!/usr/bin/env bash
# The methods against each other on Fashion-MNIST: see jobs/compare.sh.
#
#   jobs/compare-fashion.sh DATA_FOLDER [AT_ONCE]     DATA_FOLDER holds its four files
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/compare.sh" fashion "$@"
