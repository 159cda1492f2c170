#!/bin/bash
# `make demo`: a wheel of examples/minisage for three architectures, what is inside, and its import. Needs no GPU. The first run makes
# a torch environment (4.8 GB) in sagebuild's cache folder, where later commands and runs find it. SAGEBUILD_PYTHON: one to use instead.
#
# usage: examples/demo.sh SAGEBUILD [OUTPUT_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
sagebuild=$(realpath "$1")
output=$(realpath -m "${2:-build/demo}")
export -n TORCH_CUDA_ARCH_LIST PYTHONPATH VIRTUAL_ENV

step() { printf '\n== %s\n' "$*" >&2; }

if [[ -n ${SAGEBUILD_PYTHON-} ]]; then
  python=$SAGEBUILD_PYTHON
else
  step "a build environment: sagebuild env create --torch 2.11.0"
  environment=$("$sagebuild" env create --torch 2.11.0)
  python=$environment/bin/python
fi

step "a wheel: sagebuild build --source examples/minisage --arch '8.0 8.9 12.0+PTX'"
wheel=$("$sagebuild" build --source examples/minisage --arch '8.0 8.9 12.0+PTX' --python "$python" --output "$output")
echo "$wheel"

step "what is inside"
rm -rf "$output/site"
uv pip install --quiet --no-deps --python "$python" --target "$output/site" "$wheel"
if "$sagebuild" inspect --help > /dev/null 2>&1; then
  "$sagebuild" inspect "$wheel"
else
  "$python" -m zipfile -l "$wheel"
  "$python" tests/e2e/gpu_images.py "$output"/site/minisage/*.so
fi

step "installed and imported"
cd "$output"  # not beside the source folder of the same name
PYTHONPATH=$output/site "$python" - << 'PYTHON'
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
