#!/bin/bash
# Runs the [bare] tests of the given test program where /usr/local is empty: a machine with CUDA installed hides a toolkit that is
# not whole.
set -eu
cd "$(dirname "$0")/../support"
unset LIBRARY_PATH CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LD_LIBRARY_PATH CUDA_HOME CUDA_PATH NVCC_CCBIN CXX CC VIRTUAL_ENV
SAGEBUILD_TEST_SMALL_DISK=$(mktemp -d)
export SAGEBUILD_TEST_SMALL_DISK
trap 'rmdir "$SAGEBUILD_TEST_SMALL_DISK"' EXIT
if ! ./mounted.sh "$SAGEBUILD_TEST_SMALL_DISK" -- true; then
  echo "env_bare: no mount namespace here" | tee -a "${SAGEBUILD_TEST_SKIPS:-/dev/null}" >&2
  exit 77
fi
./mounted.sh /usr/local "$SAGEBUILD_TEST_SMALL_DISK:size=40m" -- "$1" "[bare]" "${@:2}"
