#!/bin/bash
# Makes the golden dry-run texts again: make.sh TOOLKIT NAME. Machine paths become neutral ones.
set -e
toolkit=$(realpath "$1") name=$2 here=$(realpath "$(dirname "$0")") work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '__global__ void k(int* p) { *p = 1; }' > k.cu
record() {
  local out=$here/$name-$1.txt
  shift
  env -i PATH=/usr/bin:/bin "$toolkit/bin/nvcc" --dryrun --keep -O3 -std=c++17 "$@" -c k.cu -o k.o 2>&1 |
    sed -e "s#$toolkit#/opt/cuda#g" -e "s#$work#/tree#g" -e 's#/tmp/tmpxft_[0-9a-f_-]*#/tmp/tmpxft#g' > "$out"
}
record two -gencode arch=compute_89,code=sm_89 -gencode 'arch=compute_90,code=[sm_90,compute_90]' -lineinfo
record shared -gencode 'arch=compute_89,code=[sm_89,sm_90]'
record ptx_only -gencode arch=compute_89,code=compute_89
record threads --threads 4 -MD -MF k.d -gencode arch=compute_89,code=sm_89 -gencode arch=compute_90,code=sm_90
record rdc -rdc=true -gencode arch=compute_89,code=sm_89
