#!/bin/bash
# Runs the [bare] tests of the given test program in a mount namespace with an empty /usr/local: a machine with CUDA installed
# hides a toolkit that is not whole. Exit 77: this machine allows no mount namespace.
set -eu
if unshare -m true 2>/dev/null; then
  namespace=(unshare -m)
elif unshare -rm true 2>/dev/null; then  # not root, but user namespaces are allowed
  namespace=(unshare -rm)
else
  echo "SKIPPED: no mount namespace here: environments, toolkits from PyPI and stubs were NOT tested" >&2
  exit 77
fi
unset LIBRARY_PATH CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LD_LIBRARY_PATH CUDA_HOME CUDA_PATH NVCC_CCBIN CXX CC VIRTUAL_ENV
SAGEBUILD_TEST_SMALL_DISK=$(mktemp -d)
export SAGEBUILD_TEST_SMALL_DISK
trap 'rmdir "$SAGEBUILD_TEST_SMALL_DISK"' EXIT
"${namespace[@]}" bash -c '
  mount -t tmpfs none /usr/local && mount -t tmpfs -o size=40m none "$SAGEBUILD_TEST_SMALL_DISK" && exec "$0" "[bare]" "$@"
' "$@"
