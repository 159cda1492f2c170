#!/bin/bash
# Makes the packages of a release build: a .deb for this distribution, a .tar.gz that runs from any folder, and a Python wheel of the
# same tree, whose tag is what auditwheel finds in it. They lie in BUILD_FOLDER/packages. Needs uv for auditwheel.
#
# usage: cmake/make-packages.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "$1" && pwd)
packages=$build/packages
rm -rf "$packages"
(cd "$build" && cpack > cpack.log 2>&1) || { tail -20 "$build/cpack.log" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
tar -xzf "$packages"/sagebuild-*.tar.gz -C "$work/tree" --strip-components=1
version=$("$work/tree/bin/sagebuild" --version)
auditwheel() { uv tool run --quiet auditwheel "$@" 2> /dev/null | tr '\n' ' '; }
untagged=$(python3 cmake/make-wheel.py "$work/tree" "$version" linux_x86_64 "$work")
platform=$(auditwheel show "$untagged" | grep -oE 'tag:? +"manylinux_2_[0-9]+_x86_64"' | grep -oE 'manylinux[a-z0-9_]+')
wheel=$(python3 cmake/make-wheel.py "$work/tree" "$version" "$platform" "$packages")
auditwheel show "$wheel" | grep -qE "consistent with +the +following +platform +tag: +\"$platform\"" ||
  { echo "make-packages: auditwheel does not agree with the tag of '$wheel'" >&2; exit 1; }
rm -rf "$packages/_CPack_Packages"
ls -sh1 "$packages"
