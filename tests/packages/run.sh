#!/bin/bash
# Installs what cmake/make-packages.sh made on bare Debian roots, as a user would, and runs it there: the .deb with apt, the archive
# unpacked in a home folder, the wheel with `uv tool install` and uvx. Then a minisage build with it on Debian 13, a .deb of Debian
# 13, compiled there, and every command of README and docs as a new user types it. As root on Debian 12; roots are kept in FOLDER.
#
# usage: tests/packages/run.sh PACKAGES FOLDER [--quick | --blocks]     PACKAGES: build/release/packages
#   --quick: only what takes seconds. --blocks: only the commands of README and docs.
set -euo pipefail
cd "$(dirname "$0")/../.."
packages=$(realpath "$1")
folder=$(mkdir -p "$2" && realpath "$2")
chosen=${3-}
command -v debootstrap > /dev/null || apt-get install -q -y --no-install-recommends debootstrap > /dev/null
deb=$(basename "$packages"/sagebuild_*~debian12_*.deb)
archive=$(basename "$packages"/sagebuild-*.tar.gz)
wheel=$(basename "$packages"/sagebuild-*-py3-none-manylinux_*.whl)
cache=$folder/uv-cache  # of all roots: what uv fetched once is not fetched again
tester=1000             # the first user that useradd makes
install -d -o "$tester" -g "$tester" "$cache"
compiled=${CCACHE_DIR:-$folder/ccache}
mkdir -p "$compiled"
failed=0 passed=0

# What it is called, in which root, as whom, the shell command, and what its output must hold. Leaves `output`.
check() {
  local name=$1 root=$2 user=$3 command=$4 wanted=$5 status=0 started=$SECONDS
  output=$(tests/packages/in-root.sh "$folder/$root" "$user" --bind "$packages:/packages" --bind "$cache:/uv-cache" \
    --bind "$PWD:/src" --bind "$compiled:/ccache" \
    bash -c "export UV_CACHE_DIR=/uv-cache UV_LINK_MODE=copy; $command" 2>&1) || status=$?
  if [[ $status -eq 0 ]] && grep -qE -- "$wanted" <<< "$output"; then
    passed=$((passed + 1))
    printf '  ok      %-9s %-7s %4d s  %s\n' "$root" "$user" $((SECONDS - started)) "$name"
  else
    failed=$((failed + 1))
    printf '  FAILED  %-9s %-7s %4d s  %s: exit code %d, wanted: %s\n%s\n' \
      "$root" "$user" $((SECONDS - started)) "$name" "$status" "$wanted" "$output"
  fi
}

# A program that is installed: it finds its data from any folder, and says what is missing.
first_minutes() {
  local root=$1 user=$2 program=$3
  check "--help" "$root" "$user" "cd / && $program --help" 'usage: sagebuild|Usage: sagebuild'
  check "patch of its own data" "$root" "$user" "cd /tmp && $program patch --lint" ''
  check "verify names its findings" "$root" "$user" "$program explain SB103" 'SB103'
}

fresh() { # a root for one package, from the bare one
  tests/support/bare-root.sh "$folder/bare-$2" "$2" python3 python3-venv
  rm -rf "${folder:?}/$1"
  cp -a "$folder/bare-$2" "$folder/$1"
}

install_uv() {
  check "uv" "$1" tester "python3 -m venv ~/uv && ~/uv/bin/pip install -q uv && mkdir -p ~/.local/bin && ln -s ~/uv/bin/uv ~/uv/bin/uvx ~/.local/bin" ''
}

ends() {
  echo "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
  exit
}

# Debian 12 with the .deb and what it recommends, and an environment that the program makes. Prints what was run of each document.
commands_of_documents() {
  local root=blocks-12
  fresh "$root" bookworm
  check "apt install ./$deb" "$root" root "apt-get update -qq && apt-get install -qq -y /packages/$deb > /tmp/apt.log 2>&1 || { tail /tmp/apt.log; exit 1; }" ''
  install_uv "$root"
  check "sagebuild env create" "$root" tester "sagebuild env create --torch 2.11.0 | tee environment" '^/home/tester/'
  check "every command of README and docs" "$root" tester "cd /src/tests/e2e && export PYTHONDONTWRITEBYTECODE=1 SAGEBUILD_TEST_BINARY=/usr/bin/sagebuild
    export SAGEBUILD_TEST_SOURCE=/src SAGEBUILD_TEST_CACHE=\$HOME/test SAGEBUILD_TEST_PYTHON=\$(cat ~/environment)/bin/python
    python3 blocks_test.py" '^OK$'
  grep -E '^([[:alnum:].-]+: [0-9]+ run|    not run: )' <<< "$output"
}

plan='plan --recipe minisage --arch "8.0 12.0+PTX"'
build='build --recipe minisage --arch "8.0 12.0+PTX" --output wheels'

# Installed with apt, used by somebody else, removed without a trace.
deb_package() {
  local root=$1 file=$2
  check "apt install ./${file##*/}" "$root" root "apt-get update -qq && apt-get install -qq -y $file > /tmp/apt.log 2>&1 || { tail /tmp/apt.log; exit 1; }" ''
  first_minutes "$root" tester sagebuild
  check "doctor says what is missing" "$root" tester "sagebuild doctor || [ \$? = 3 ]" 'torch'
  check "plan" "$root" tester "sagebuild $plan || [ \$? = 3 ]" 'torch|_qattn_sm80'
  check "apt remove" "$root" root "apt-get remove -qq -y sagebuild > /dev/null 2>&1; ! ls -d /usr/share/sagebuild /usr/bin/sagebuild" ''
}

if [[ $chosen == --blocks ]]; then
  commands_of_documents
  ends
fi

fresh deb-12 bookworm
deb_package deb-12 "/packages/$deb"

for suite in bookworm trixie; do
  root=any-$suite
  fresh "$root" "$suite"
  check "unpack $archive" "$root" tester "mkdir -p 'a folder' && tar xzf /packages/$archive -C 'a folder' --strip-components=1" ''
  first_minutes "$root" tester "\$HOME/a\\ folder/bin/sagebuild"
  check "doctor names the packages that are missing" "$root" tester "\$HOME/a\\ folder/bin/sagebuild doctor || [ \$? = 3 ]" 'g\+\+'
  check "plan" "$root" tester "\$HOME/a\\ folder/bin/sagebuild $plan || [ \$? = 3 ]" 'g\+\+|torch'
  install_uv "$root"
  check "uvx --from ./$wheel" "$root" tester "uvx --from /packages/$wheel sagebuild --version" '^[0-9]+\.[0-9]+'
  check "uv tool install ./$wheel" "$root" tester "uv tool install /packages/$wheel" 'sagebuild'
  first_minutes "$root" tester sagebuild
  check "python -m sagebuild" "$root" tester "uv run --no-project --with /packages/$wheel python -m sagebuild --version" '^[0-9]+\.[0-9]+'
  check "exit code and signal are the program's" "$root" tester "sagebuild nonsense; [ \$? = 2 ]" 'nonsense'
  check "pip install" "$root" tester "python3 -m venv p && p/bin/pip install -q /packages/$wheel && p/bin/sagebuild --version" '^[0-9]+\.[0-9]+'
done

if [[ $chosen != --quick ]]; then
  check "what a build needs" any-trixie root "apt-get update -qq && apt-get install -qq -y --no-install-recommends g++ git python3-dev > /dev/null 2>&1" ''
  check "a minisage build with the program of uv" any-trixie tester "sagebuild $build && ls -l wheels" 'minisage-.*\.whl'

  fresh make-13 trixie
  check "what making packages needs" make-13 root "cd /src && cmake/install-packages.sh --package > /tmp/apt.log 2>&1 && apt-get install -qq -y ccache > /dev/null 2>&1" ''
  check "a .deb of Debian 13" make-13 root "export CCACHE_DIR=/ccache CCACHE_BASEDIR=/src CCACHE_NOHASHDIR=1
    cmake -S /src -B /made -G Ninja -DCMAKE_BUILD_TYPE=Release -DSAGEBUILD_TESTS=OFF -DCMAKE_CXX_COMPILER_LAUNCHER=ccache &&
    cmake --build /made --target sagebuild && cd /made && cpack -G DEB && cp packages/*.deb /packages/" 'sagebuild_.*~debian13_.*\.deb generated'
  fresh deb-13 trixie
  deb_package deb-13 "/packages/sagebuild_*~debian13_*.deb"
  commands_of_documents
fi
ends
