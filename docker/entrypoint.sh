#!/bin/sh
# Starts sagebuild in the container, in place of itself: sagebuild is process 1 and gets the signals. Before that:
#
# - What it leaves in /out belongs to the owner of that folder: root becomes that user. With `docker run --user` nothing is changed.
# - Each user has a folder of its own in /cache; and in a container with a read-only root temporary files lie there too.
# - `build` says at once what it would notice at its end: nobody mounted /out, or a folder cannot be written.
set -eu

fail() {
  printf 'sagebuild: error: %s\n  hint: %s\n' "$1" "$2" >&2
  exit 2
}

asks_for_help() {
  for word; do
    case $word in -h | --help) return 0 ;; esac
  done
  return 1
}

names_output() {
  for word; do
    case $word in -o* | --output | --output=*) return 0 ;; esac
  done
  return 1
}

owner=$(stat -c %u /out)
if [ "$(id -u)" = 0 ] && [ "$owner" != 0 ]; then
  group=$(stat -c %g /out)
  setpriv --reuid "$owner" --regid "$group" --clear-groups true 2> /dev/null ||
    fail "root may not become the owner of /out, user $owner" "add --user $owner:$group"
  exec setpriv --reuid "$owner" --regid "$group" --clear-groups --inh-caps=-all -- "$0" "$@"
fi

# For these two alone: `patch --output` is something else.
case ${1-} in build | upload) export SAGEBUILD_OUTPUT="${SAGEBUILD_OUTPUT:-/out}" ;; esac

if [ "${1-}" = build ] && [ "$SAGEBUILD_OUTPUT" = /out ] && ! names_output "$@" && ! asks_for_help "$@"; then
  mountpoint -q /out ||
    fail "nothing is mounted at /out, so the wheel would be gone with this container" \
      "add -v \"\$PWD/out:/out\" to docker run; to fetch it with 'docker cp' instead: -e SAGEBUILD_OUTPUT=/tmp/out, without --rm"
  [ -w /out ] ||
    fail "user $(id -u) may not write to /out, which belongs to user $owner" \
      "docker makes a missing folder as root: make it before the first run (mkdir -p out; now: sudo chown $(id -u) out)"
fi

# What -e TORCH_CUDA_ARCH_LIST names is what the user asks for: built or refused, not thinned out.
[ -z "${TORCH_CUDA_ARCH_LIST-}" ] || export SAGEBUILD_ARCH="${SAGEBUILD_ARCH:-$TORCH_CUDA_ARCH_LIST}"
if [ -z "${SAGEBUILD_CACHE_DIR-}" ]; then
  [ -w /cache ] ||
    fail "user $(id -u) may not write to /cache, which belongs to user $(stat -c %u /cache)" \
      "mount a folder of that user there, or a named volume: -v sagebuild-cache:/cache"
  SAGEBUILD_CACHE_DIR=/cache/$(id -u)
  export SAGEBUILD_CACHE_DIR
fi
# The token as a secret, which docker compose, swarm and `docker run -v FILE:/run/secrets/hf_token:ro` put there.
[ -n "${HF_TOKEN_PATH-}" ] || [ ! -e /run/secrets/hf_token ] || export HF_TOKEN_PATH=/run/secrets/hf_token
if [ -z "${TMPDIR-}" ] && [ ! -w /tmp ]; then
  export TMPDIR="$SAGEBUILD_CACHE_DIR/tmp"
  mkdir -p "$TMPDIR"
fi
exec sagebuild "$@"
