"""Which GPU images a shared library holds. A reader of its own, so that the tests do not ask the program about itself.

The layout of the containers in .nv_fatbin was read off files that nvcc made; they lie end to end, each entry with its own header.
"""

import pathlib
import struct
import sys

CONTAINER = struct.pack("<IHH", 0xBA55ED50, 1, 16)
KINDS = {1: "compute", 2: "sm"}
SUFFIXES = {0x100000: "a", 0x200000: "f"}


def images(library):
    """A set of names such as sm_90a and compute_120 (PTX)."""
    data = pathlib.Path(library).read_bytes()
    found = set()
    start = data.find(CONTAINER)
    while start >= 0:
        at, end = start + 16, start + 16 + struct.unpack_from("<Q", data, start + 8)[0]
        while at < end:
            kind, _, header, size = struct.unpack_from("<HHIQ", data, at)
            arch, flags = struct.unpack_from("<I", data, at + 0x1C)[0], struct.unpack_from("<Q", data, at + 0x28)[0]
            suffix = "".join(text for bit, text in SUFFIXES.items() if flags & bit)
            found.add(f"{KINDS.get(kind, kind)}_{arch}{suffix}")
            at += header + size
        start = data.find(CONTAINER, end)
    return found


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *sorted(images(name)))
