#!/bin/bash
# `make demo`: a wheel of examples/minisage for three architectures, what is inside, and its import. Needs no GPU.
# Everything goes below build/: the first run makes a torch environment there (4.8 GB), a second run finds all of it.
#
# usage: examples/demo.sh SAGEBUILD
set -euo pipefail
cd "$(dirname "$0")/.."
sagebuild=$(realpath "$1")
export XDG_CACHE_HOME=$PWD/build/cache
export -n TORCH_CUDA_ARCH_LIST PYTHONPATH VIRTUAL_ENV

step() { printf '\n== %s\n' "$*" >&2; }

step "a build environment: sagebuild env create --torch 2.11.0"
environment=$("$sagebuild" env create --torch 2.11.0)
python=$environment/bin/python

step "a wheel: sagebuild build --source examples/minisage --arch '8.0 8.9 12.0+PTX'"
wheel=$("$sagebuild" build --source examples/minisage --arch '8.0 8.9 12.0+PTX' --python "$python" --output build/demo)
echo "$wheel"

step "what is inside"
if "$sagebuild" inspect --help > /dev/null 2>&1; then
  "$sagebuild" inspect "$wheel"
else
  rm -rf build/demo/unpacked
  python3 -m zipfile -e "$wheel" build/demo/unpacked
  python3 -m zipfile -l "$wheel"
  (cd build/demo/unpacked && python3 ../../../tests/e2e/gpu_images.py minisage/*.so)
fi

step "installed into the environment and imported"
uv pip install --quiet --reinstall --no-deps --python "$python" "$wheel"
cd build/demo  # not beside the source folder of the same name
"$python" - << 'PYTHON'
import importlib
import torch
import minisage
for name in ("_fused", "_qattn_sm80", "_qattn_sm89"):
    module = importlib.import_module("minisage." + name)
    print("minisage." + name, sorted(entry for entry in vars(module) if not entry.startswith("_")))
print("minisage", minisage.__version__, "with torch", torch.__version__)
if torch.cuda.is_available():
    print("this machine has a GPU: run examples/minisage/check.py for numbers")
PYTHON
