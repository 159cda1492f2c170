#!/bin/bash
# Runs a command that alone sees an empty file system at each FOLDER. As root, or where user namespaces are allowed.
#
# usage: tests/support/mounted.sh FOLDER[:MOUNT_OPTIONS]... -- COMMAND...
set -eu
mounts='while [[ $1 != -- ]]; do options=${1#*:}; [[ $1 == *:* ]] || options=rw; mount -t tmpfs -o "$options" none "${1%%:*}"; shift; done; shift'
if unshare -m true 2> /dev/null; then
  exec unshare -m bash -c "set -eu; $mounts; exec \"\$@\"" mounted "$@"
elif unshare -rm true 2> /dev/null; then
  exec unshare -rm bash -c "set -eu; $mounts; exec \"\$@\"" mounted "$@"
fi
# In a chroot, whose / is no mount of its own, a namespace is to be had only together with what is mounted outside: unmount at the end.
folders=()
for word in "$@"; do
  [[ $word != -- ]] || break
  folders+=("${word%%:*}")
done
exec unshare -m --propagation unchanged bash -c "
  trap 'umount -l ${folders[*]@Q} 2> /dev/null || true' EXIT
  set -eu
  $mounts
  \"\$@\"" mounted "$@"
