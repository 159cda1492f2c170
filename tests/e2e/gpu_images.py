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
    return set(all_images(library))


def all_images(library):
    """The same as a list, with each image as often as it is there."""
    return [name for _, names in containers(pathlib.Path(library).read_bytes()) for name in names]


def registered(library):
    """For each container that the library hands to the CUDA runtime, the images in it.

    A record in .nvFatBinSegment, 24 bytes, says where: the loader writes its pointer, so that a
    relocation holds it.
    """
    data = pathlib.Path(library).read_bytes()
    parts = sections(data)
    pointers = {}
    _, offset, length = parts[".rela.dyn"]
    for at in range(offset, offset + length, 24):
        place, _, target = struct.unpack_from("<QQq", data, at)
        pointers[place] = target
    records, _, length = parts[".nvFatBinSegment"]
    address, offset, _ = parts[".nv_fatbin"]
    found = dict(containers(data))
    return [found[pointers[record + 8] - address + offset]
            for record in range(records, records + length, 24)]


def sections(data):
    """Name -> (address, offset, length) of the sections of an ELF file."""
    table, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
    found = {}
    for name, _, _, address, offset, length in headers:
        start = headers[names][4] + name
        found[data[start:data.index(b"\0", start)].decode()] = (address, offset, length)
    return found


def containers(data):
    """(offset, names of the images) of each container."""
    start = data.find(CONTAINER)
    while start >= 0:
        at, end = start + 16, start + 16 + struct.unpack_from("<Q", data, start + 8)[0]
        found = []
        while at < end:
            kind, _, header, size = struct.unpack_from("<HHIQ", data, at)
            arch, flags = struct.unpack_from("<I", data, at + 0x1C)[0], struct.unpack_from("<Q", data, at + 0x28)[0]
            suffix = "".join(text for bit, text in SUFFIXES.items() if flags & bit)
            found.append(f"{KINDS.get(kind, kind)}_{arch}{suffix}")
            at += header + size
        yield start, found
        start = data.find(CONTAINER, end)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *sorted(images(name)))
