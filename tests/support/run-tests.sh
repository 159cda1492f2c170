#!/bin/bash
# Runs ctest in a build folder, and says at the end how many test cases could not run on this machine, and why.
#
# usage: tests/support/run-tests.sh BUILD_FOLDER [CTEST_ARGUMENTS...]
set -u
SAGEBUILD_TEST_SKIPS=$(realpath "$1")/skips
export SAGEBUILD_TEST_SKIPS
: > "$SAGEBUILD_TEST_SKIPS"
# Two at a time: most of a test is one compiler on one core, or a wait.
ctest --test-dir "$1" --parallel 2 --output-on-failure "${@:2}"
status=$?
echo "test cases skipped: $(wc -l < "$SAGEBUILD_TEST_SKIPS")"
sed 's/^/  /' "$SAGEBUILD_TEST_SKIPS"
exit $status
