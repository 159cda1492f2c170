#!/bin/bash
# Makes an installed sagebuild relocatable: the shared libraries of this system that it needs go into lib/sagebuild beside it and are
# found there, whatever LD_LIBRARY_PATH says, and their licences go into share/doc/sagebuild. What every Linux has stays outside:
# glibc, and GCC's libraries, of which the system's may be newer but not older.
#
# usage: cmake/bundle.sh FOLDER      the folder with bin/sagebuild and share/sagebuild
set -euo pipefail
root=$(realpath "$1")
program=$root/bin/sagebuild
libraries=$root/lib/sagebuild
licences=$root/share/doc/sagebuild/bundled
outside='^(linux-vdso|ld-linux-x86-64|lib(c|m|dl|rt|pthread|resolv|anl|nsl|util|gcc_s|stdc\+\+))\.so'

rm -rf "$libraries" "$licences"
mkdir -p "$libraries" "$licences"

# The package of a library; with a merged /usr dpkg knows some of them by the other name.
package_of() {
  local path
  for path in "$1" "/usr$1" "${1#/usr}"; do
    dpkg-query -S "$path" 2> /dev/null | sed -n '1{s/: .*//;p}' | grep . && return
  done
  echo "bundle: no package holds '$1', so its licence is not known" >&2
  return 1
}

while read -r name arrow path _; do
  [[ $name =~ $outside || $name == /* ]] && continue
  if [[ $arrow != '=>' || $path != /* ]]; then
    echo "bundle: cannot find '$name', which sagebuild needs" >&2
    exit 1
  fi
  real=$(realpath "$path")
  install -m 644 "$real" "$libraries/$name"
  # DT_RPATH and not DT_RUNPATH: nothing in LD_LIBRARY_PATH, such as conda's OpenSSL, may take its place.
  patchelf --force-rpath --set-rpath '$ORIGIN' "$libraries/$name"
  package=$(package_of "$real")
  install -m 644 "/usr/share/doc/${package%:*}/copyright" "$licences/${package%:*}.copyright"
  dpkg-query -W -f "$name  \${source:Package} \${source:Version}, \${binary:Package}\n" "$package" >> "$licences/libraries.txt"
done < <(ldd "$program")
patchelf --force-rpath --set-rpath '$ORIGIN/../lib/sagebuild' "$program"
sort -o "$licences/libraries.txt" "$licences/libraries.txt"
# Debian's copyright files name the well-known licences by their place on a Debian system.
grep -rhoE '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9]' "$licences" | sort -u | while read -r text; do
  [[ ! -f $text ]] || install -m 644 -D "$(realpath "$text")" "$licences/common-licenses/${text##*/}"
done
{
  echo "The libraries in lib/sagebuild are those of $(. /etc/os-release && echo "$PRETTY_NAME"), changed only in where they look"
  echo "for each other. Each has its licence beside this file, the texts that it names are in common-licenses. Library, source package with version, package:"
  echo
  cat "$licences/libraries.txt"
} > "$licences/README"
rm "$licences/libraries.txt"

# Nothing of this system may be left that is not meant to be outside.
while read -r name _ path _; do
  [[ $name =~ $outside || $name == /* || $(realpath "$path") == "$libraries"/* ]] && continue
  echo "bundle: '$name' is still taken from '$path'" >&2
  exit 1
done < <(LD_LIBRARY_PATH='' ldd "$program")
echo "bundled $(find "$libraries" -type f | wc -l) libraries ($(du -sh "$libraries" | cut -f1)) in '$libraries'" >&2
