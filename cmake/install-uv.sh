#!/bin/bash
# Prints the absolute folder of a `uv`: the one on PATH, else one installed with pip into a private virtual environment in sagebuild's
# cache folder, where sagebuild finds it too. uv is no Debian package; it makes a torch environment in seconds where pip needs minutes.
set -euo pipefail

if found=$(command -v uv) && uv --version > /dev/null 2>&1; then  # a version manager's stand-in may be there and fail
  dirname "$found"
  exit 0
fi
folder=${SAGEBUILD_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sagebuild}/tools
if [[ ! -x $folder/bin/uv ]]; then
  mkdir -p "$folder"
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check uv >&2
fi
echo "$folder/bin"
