#!/bin/bash
# Runs the [bare] tests of the given test program in a mount namespace with an empty /usr/local: a machine with CUDA installed
# hides a toolkit that is not whole. Exit 77: this machine allows no mount namespace.
set -eu
if ! unshare -m true 2>/dev/null; then
  echo "SKIPPED: no mount namespace here (needs root): the toolkit from PyPI was NOT tested apart from /usr/local" >&2
  exit 77
fi
unset LIBRARY_PATH CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LD_LIBRARY_PATH CUDA_HOME CUDA_PATH NVCC_CCBIN CXX CC VIRTUAL_ENV
exec unshare -m bash -c 'mount -t tmpfs none /usr/local && exec "$0" "[bare]"' "$1"
