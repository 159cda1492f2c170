#!/bin/bash
# Makes a bare Debian root in FOLDER, as debootstrap's "minbase" has it, with the packages given. What this machine needs to reach its
# package indexes (mirror, certificates of its network) goes in, so a root is for tests on this machine alone. As root.
#
# usage: tests/support/bare-root.sh FOLDER SUITE [PACKAGE...]      SUITE: bookworm, trixie
set -euo pipefail
root=$1 suite=$2
[[ ! -f $root/.complete ]] || exit 0
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)
packages=$(IFS=,; echo "ca-certificates${3:+,${*:3}}")
rm -rf "$root"
mkdir -p "$root"
# A suite that this debootstrap does not know is made as its neighbours are.
script=/usr/share/debootstrap/scripts/$suite
[[ -e $script ]] || script=/usr/share/debootstrap/scripts/sid
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" "$script" > "$root.log" 2>&1 ||
  { tail -20 "$root.log" >&2; exit 1; }
security=$(awk '/^URIs:/{print $2}' /etc/apt/sources.list.d/debian.sources | grep -m1 security || true)
[[ -z $security ]] || echo "deb $security $suite-security main" >> "$root/etc/apt/sources.list"
cp -r /etc/apt/apt.conf.d/99* "$root/etc/apt/apt.conf.d/" 2> /dev/null || true
cp /etc/resolv.conf /etc/hosts "$root/etc/"
if compgen -G '/usr/local/share/ca-certificates/*.crt' > /dev/null; then
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  env -u TMPDIR chroot "$root" update-ca-certificates >> "$root.log" 2>&1 || { tail -20 "$root.log" >&2; exit 1; }
fi
touch "$root/.complete"
