#!/bin/bash
# Prints the folder of an `nginx`: the one installed, else one unpacked from its Debian package below the folder $1. Not installed,
# since an installed nginx is started, and serves on port 80.
set -euo pipefail

if found=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx); then
  dirname "$found"
  exit 0
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)/nginx
if [[ ! -x $folder/usr/sbin/nginx && -z ${NO_INSTALL-} ]]; then
  rm -rf "$folder"
  mkdir "$folder"
  cd "$folder"
  apt=(apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root)
  # Without it, its tests say that they were skipped.
  "${apt[@]}" download nginx >&2 || { "${apt[@]}" update >&2 && "${apt[@]}" download nginx >&2; } || exit 0
  dpkg-deb -x nginx_*.deb .
fi
echo "$folder/usr/sbin"
