#!/usr/bin/env python3
"""Makes data/torch-symbols.zip: which symbols of c10::, at::, torch:: and caffe2:: each release of torch exports.

    python3 data/make_torch_symbols.py             # adds the releases that PyPI has and the file lacks
    python3 data/make_torch_symbols.py --all       # makes it from nothing

Of each wheel for Linux on x86_64 only the libraries in torch/lib are read, by range requests; where an index does not know these,
the wheel is downloaded, read and deleted. Needs `nm` of binutils, nothing else. About 450 MB a release over the network.

The file is a zip archive with one entry, "torch-symbols":
    "torch-symbols/1\\n"
    "2.6.0 2.7.0 ...\\n"      the releases, oldest first
    u32 n                      how many symbols there are, little-endian
    n * 6 bytes                the first 48 bits of each symbol's SHA-256 as a number, sorted; the difference to the one before,
                               in six planes of n bytes, lowest byte first
    n * 4 bytes                which releases export it, bit 0 the oldest, in four planes
A symbol that no release exports is taken for one with probability n / 2^48: below 10^-9 for the 10^5 that there are.
"""

import argparse
import hashlib
import io
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

FILE = pathlib.Path(__file__).with_name("torch-symbols.zip")
ENTRY = "torch-symbols"
SCHEMA = b"torch-symbols/1\n"
FIRST = (2, 6)
PYTHON = "cp312"
HASH_BYTES, MASK_BYTES = 6, 4
# As is_exported_by_torch in src/verify/torch_symbols.cpp: a name in a namespace of torch, what hangs on it (vtables and their kin),
# its functions for Python and in C.
SYMBOL = re.compile(r"_Z(?:T[A-Z]|G[VR])?N[rVK]*[RO]?(?:3c10|2at|5torch|6caffe2)"
                    r"|_ZN8pybind116detail11type_casterIN(?:3c10|2at|5torch|6caffe2)|_Z\d+THP|THP|aoti_torch_|torch_")


class Ranges(io.RawIOBase):
    """A file of a web server that knows range requests."""

    def __init__(self, url):
        self.url, self.place = url, 0
        with self.ask("0-0") as answer:
            self.ranges = answer.status == 206
            self.size = int(answer.headers["Content-Range"].rpartition("/")[2]) if self.ranges else 0

    def ask(self, part):
        return urllib.request.urlopen(urllib.request.Request(self.url, headers={"Range": f"bytes={part}"}), timeout=60)

    def seekable(self):
        return True

    def readable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        return self.place

    def tell(self):
        return self.place

    def readinto(self, buffer):
        length = min(len(buffer), self.size - self.place)
        if length <= 0:
            return 0
        for attempt in range(4):
            try:
                with self.ask(f"{self.place}-{self.place + length - 1}") as answer:
                    piece = answer.read()
                break
            except OSError:
                if attempt == 3:
                    raise
                time.sleep(2**attempt)
        buffer[: len(piece)] = piece
        self.place += len(piece)
        return len(piece)


def opened(url):
    remote = Ranges(url)
    if remote.ranges:
        return io.BufferedReader(remote, buffer_size=16 << 20)
    copy = tempfile.TemporaryFile()
    with urllib.request.urlopen(url, timeout=60) as answer:
        while piece := answer.read(1 << 20):
            copy.write(piece)
    return copy


def symbols_of_library(path):
    listed = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    names = (line.split()[-1].partition("@")[0] for line in listed.splitlines())
    return {name for name in names if SYMBOL.match(name)}


def symbols_of_wheel(url):
    found = set()
    with zipfile.ZipFile(opened(url)) as wheel, tempfile.TemporaryDirectory() as folder:
        for name in wheel.namelist():
            # Its exports are those of lib*.so; what else is there (libgomp, libcudart) is not torch's.
            if not re.fullmatch(r"torch/lib/lib(c10|torch|caffe2|shm)\w*\.so", name):
                continue
            path = pathlib.Path(wheel.extract(name, folder))
            found |= symbols_of_library(path)
            path.unlink()
    return found


def releases(index):
    """Version -> URL of its wheel, from the index' JSON (PEP 691)."""
    request = urllib.request.Request(f"{index}/torch/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    found = {}
    for file in files:
        parts = re.fullmatch(rf"torch-(\d+)\.(\d+)\.(\d+)(?:-(\d+))?-{PYTHON}-{PYTHON}-manylinux\w*_x86_64\.whl", file["filename"])
        if not parts or file.get("yanked"):
            continue
        version, build = tuple(map(int, parts.group(1, 2, 3))), int(parts[4] or 0)
        if version >= FIRST:
            found[version] = max(found.get(version, (-1, "")), (build, file["url"]))
    return {version: url for version, (_, url) in sorted(found.items())}


def number_of(symbol):
    return int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:HASH_BYTES], "big")


def planes(numbers, count):
    return b"".join(bytes(number >> 8 * plane & 255 for number in numbers) for plane in range(count))


def numbers(data, count):
    n = len(data) // count
    return [sum(data[plane * n + i] << 8 * plane for plane in range(count)) for i in range(n)]


def packed(versions, masks):
    hashes = sorted(masks)
    steps = [one - before for one, before in zip(hashes, [0, *hashes])]
    names = " ".join(".".join(map(str, version)) for version in versions)
    body = planes(steps, HASH_BYTES) + planes([masks[one] for one in hashes], MASK_BYTES)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        # The date is that of nothing: the same releases give the same bytes.
        archive.writestr(zipfile.ZipInfo(ENTRY), SCHEMA + names.encode() + b"\n" + struct.pack("<I", len(hashes)) + body,
                         zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def unpacked(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema, names, body = archive.read(ENTRY).split(b"\n", 2)
    if schema + b"\n" != SCHEMA:
        sys.exit(f"{FILE} has another schema: use --all")
    (n,) = struct.unpack_from("<I", body)
    hashes, total = [], 0
    for step in numbers(body[4 : 4 + n * HASH_BYTES], HASH_BYTES):
        total += step
        hashes.append(total)
    masks = dict(zip(hashes, numbers(body[4 + n * HASH_BYTES :], MASK_BYTES)))
    return [tuple(map(int, name.split("."))) for name in names.decode().split()], masks


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="read every release again")
    parser.add_argument("--index", default="https://pypi.org/simple", help="a package index with a JSON API")
    arguments = parser.parse_args()
    versions, masks = ([], {}) if arguments.all or not FILE.exists() else unpacked(FILE.read_bytes())
    known = {version: {one for one, mask in masks.items() if mask >> bit & 1} for bit, version in enumerate(versions)}
    for version, url in releases(arguments.index).items():
        if version in known:
            continue
        started = time.monotonic()
        known[version] = {number_of(symbol) for symbol in symbols_of_wheel(url)}
        print(f"torch {'.'.join(map(str, version))}: {len(known[version])} symbols, {time.monotonic() - started:.0f} s", flush=True)
    versions = sorted(known)
    if len(versions) > 8 * MASK_BYTES:
        sys.exit(f"{len(versions)} releases do not fit {8 * MASK_BYTES} bits")
    masks = {}
    for bit, version in enumerate(versions):
        for one in known[version]:
            masks[one] = masks.get(one, 0) | 1 << bit
    FILE.write_bytes(packed(versions, masks))
    print(f"{FILE}: {len(versions)} releases, {len(masks)} symbols, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
