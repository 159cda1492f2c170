#!/bin/bash
# Makes the two images that the tests build on, from a bare Debian root: localhost/sagebuild-test-debian stands for debian:12,
# localhost/sagebuild-test-cuda:VERSION for NVIDIA's devel image, with /usr/local/cuda and the variables that NVIDIA sets.
#
# usage: tests/docker/engine.sh tests/docker/make-base.sh FOLDER CUDA VERSION
#   FOLDER: where the root is made and kept. CUDA: a toolkit's folder. VERSION: of the toolkit
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1 cuda=$2 version=$3
mkdir -p "$folder"
tests/support/bare-root.sh "$folder/root" bookworm
rm -f "$folder"/root/var/cache/apt/archives/*.deb

# Certificates of this machine's network are in the root; uv, pip and others are told to use them.
certificates=/etc/ssl/certs/ca-certificates.crt
printf '%s\n' 'FROM scratch' 'COPY . /' "ENV SSL_CERT_FILE=$certificates PIP_CERT=$certificates" 'CMD ["bash"]' |
  $ENGINE build -q -t localhost/sagebuild-test-debian -f - "$folder/root"
printf '%s\n' 'FROM localhost/sagebuild-test-debian' 'COPY . /usr/local/cuda' \
  "ENV CUDA_VERSION=$version PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
  'ENV LIBRARY_PATH=/usr/local/cuda/lib64/stubs NVIDIA_VISIBLE_DEVICES=all' |
  $ENGINE build -q -t "localhost/sagebuild-test-cuda:$version" -f - "$cuda"
