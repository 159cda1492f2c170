#!/bin/bash
# Runs COMMAND in a root that bare-root.sh made, as a fresh login of USER there: nothing of this machine's environment, its own /proc
# and /dev. --bind OUTSIDE:INSIDE may stand several times. As root.
#
# usage: tests/packages/in-root.sh ROOT USER [--bind OUTSIDE:INSIDE]... COMMAND...      USER: root, or tester, who is made if missing
set -euo pipefail
root=$(realpath "$1") user=$2
shift 2
binds=()
while [[ $1 == --bind ]]; do
  binds+=("$2")
  shift 2
done
grep -q '^tester:' "$root/etc/passwd" || chroot "$root" /usr/sbin/useradd -m tester
home=/root
[[ $user == root ]] || home=/home/$user
certificates=/etc/ssl/certs/ca-certificates.crt
# shellcheck disable=SC2016
exec unshare -m -p -f bash -c '
  set -eu
  root=$1 user=$2 home=$3 certificates=$4 count=$5
  shift 5
  mount --bind "$root" "$root"
  for ((i = 0; i < count; ++i)); do
    mkdir -p "$root${1#*:}"
    mount --bind "${1%%:*}" "$root${1#*:}"
    shift
  done
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  path=$home/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  cd "$root"
  exec chroot --userspec="$user" . /usr/bin/env -i HOME="$home" USER="$user" PATH="$path" LANG=C.UTF-8 \
    SSL_CERT_FILE="$certificates" PIP_CERT="$certificates" DEBIAN_FRONTEND=noninteractive \
    /bin/sh -c "cd ~ && exec \"\$@\"" sh "$@"
' in-root "$root" "$user" "$home" "$certificates" "${#binds[@]}" "${binds[@]}" "$@"
