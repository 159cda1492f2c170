#!/bin/bash
# Makes a CUDA 13.0 toolkit in FOLDER from PyPI's packages, as /usr/local/cuda has it. Needs uv.
#
# usage: tests/docker/make-cuda130.sh FOLDER
set -euo pipefail
target=$1
[[ ! -e $target/.complete ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$target"
uv pip install -q --python "$(command -v python3)" --target "$work" "cuda-toolkit[nvcc,nvvm,crt,cudart,cccl]==13.0.2"
mv "$work/nvidia/cu13" "$target"
ln -s lib "$target/lib64"
ln -s libcudart.so.13 "$target/lib/libcudart.so"
touch "$target/.complete"
