#!/bin/bash
# Line coverage of src/ by all tests that `make test` runs: a table per room and one number for everything (gcov through gcovr).
set -euo pipefail

cmake --preset coverage > /dev/null
cmake --build --preset coverage
find build/coverage -name '*.gcda' -delete
ctest --test-dir build/coverage --output-on-failure --label-exclude full
if ! gcovr=$(command -v gcovr); then
  gcovr=build/tools-gcovr/bin/gcovr
  [[ -x $gcovr ]] || { python3 -m venv build/tools-gcovr && build/tools-gcovr/bin/pip install --quiet gcovr; }
fi
"$gcovr" --root . --filter src/ --filter include/ --gcov-ignore-parse-errors=negative_hits.warn_once_per_file \
  --exclude-throw-branches --print-summary build/coverage
