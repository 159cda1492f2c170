#!/bin/bash
# Makes the two images that the tests build on, from bare Debian roots and PyPI: localhost/sagebuild-test-debian stands for debian:12,
# localhost/sagebuild-test-cuda for NVIDIA's devel image: /usr/local/cuda and the variables that NVIDIA sets.
#
# usage: tests/docker/engine.sh tests/docker/make-base.sh FOLDER [CUDA_FOLDER CUDA_VERSION]
#   FOLDER: where the root is made and kept. CUDA_FOLDER: a toolkit to use in place of PyPI's 13.0.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1 cuda=${2-} version=${3-13.0.2}
mkdir -p "$folder"
tests/support/bare-root.sh "$folder/root" bookworm
rm -f "$folder"/root/var/cache/apt/archives/*.deb

if [[ -z $cuda ]]; then
  cuda=$folder/cuda
  if [[ ! -e $cuda/.complete ]]; then
    rm -rf "$cuda" "$folder/wheels"
    uv pip install -q --python "$(command -v python3)" --target "$folder/wheels" "cuda-toolkit[nvcc,nvvm,crt,cudart,cccl]==$version"
    mv "$folder/wheels/nvidia/cu13" "$cuda"
    ln -s lib "$cuda/lib64"
    ln -s libcudart.so.13 "$cuda/lib/libcudart.so"
    touch "$cuda/.complete"
  fi
fi

# Certificates of this machine's network are in the root; uv, pip and others are told to use them.
certificates=/etc/ssl/certs/ca-certificates.crt
printf '%s\n' 'FROM scratch' 'COPY . /' "ENV SSL_CERT_FILE=$certificates PIP_CERT=$certificates" 'CMD ["bash"]' |
  $ENGINE build -q -t localhost/sagebuild-test-debian -f - "$folder/root"
printf '%s\n' 'FROM localhost/sagebuild-test-debian' 'COPY . /usr/local/cuda' \
  "ENV CUDA_VERSION=$version PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
  'ENV LIBRARY_PATH=/usr/local/cuda/lib64/stubs NVIDIA_VISIBLE_DEVICES=all' |
  $ENGINE build -q -t localhost/sagebuild-test-cuda -f - "$cuda"
