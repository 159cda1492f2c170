#!/bin/bash
# Prints the folder of a `uv`: the one on PATH, else one installed with pip into a private virtual environment at $1.
# uv is no Debian package; it makes a torch environment in seconds where pip needs minutes.
set -euo pipefail

if found=$(command -v uv); then
  dirname "$found"
  exit 0
fi
folder=$1
if [[ ! -x $folder/bin/uv ]]; then
  rm -rf "$folder"
  python3 -m venv "$folder" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check uv >&2
fi
echo "$folder/bin"
