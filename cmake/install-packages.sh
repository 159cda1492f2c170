#!/bin/bash
# Installs the Debian or Ubuntu packages that building and testing sagebuild needs, says which ones were missing, and does nothing
# when none is. As root or with sudo.
#
# usage: cmake/install-packages.sh [--check | --compile | --package]
#   --check: name what is missing (exit 3), install nothing
#   --compile: only what compiling takes; --package: and what making packages takes
set -euo pipefail

build=(make cmake ninja-build g++ pkg-config
  libarchive-dev libcli11-dev libcurl4-openssl-dev libelf-dev libfmt-dev libgit2-dev liblz4-dev libre2-dev libspdlog-dev libssl-dev
  libtomlplusplus-dev libzip-dev libzstd-dev nlohmann-json3-dev zlib1g-dev)
# What sagebuild uses when it runs (a Python that can make virtual environments, Python.h for extension modules), and its tests.
run=(ca-certificates python3 python3-dev python3-venv)
tests=(catch2 git openssh-client openssl patch python3-paramiko)
# For `make test-full`: the shells that completion is tested in, and a second reader of man pages.
[[ -n ${WITH_FULL_TESTS-} ]] && tests+=(fish mandoc zsh)
package=(dpkg-dev file patchelf)  # dpkg-shlibdeps, and what finds and mends the libraries that go into a relocatable build

wanted=("${build[@]}" "${run[@]}" "${tests[@]}")
[[ ${1-} == --compile ]] && wanted=("${build[@]}")
[[ ${1-} == --package ]] && wanted=("${build[@]}" "${package[@]}")

# Distributions without dpkg: the names differ, CMake says what it does not find.
if ! command -v dpkg-query > /dev/null; then
  echo "install-packages: not a Debian or Ubuntu system, nothing installed; needed there: ${wanted[*]}" >&2
  exit 0
fi

missing=()
for name in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2> /dev/null || true)
  [[ $state == installed ]] || missing+=("$name")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

echo "install-packages: missing: ${missing[*]}" >&2
[[ ${1-} == --check ]] && exit 3

as_root=()
if [[ $EUID -ne 0 ]]; then
  if ! command -v sudo > /dev/null; then
    echo "install-packages: neither root nor sudo; as root run: apt-get install ${missing[*]}" >&2
    exit 3
  fi
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
apt=("${as_root[@]}" apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
# A package list that is there and good enough saves the update; a fresh container has none.
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" > /dev/null 2>&1 && exit 0
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"
