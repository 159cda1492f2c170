"""Small wheels, libraries and texts for the fuzz targets to begin with, in the folder that is named: no compiler is needed."""

import pathlib
import struct
import sys
import zipfile
import zlib

ELF_HEADER = "<4sBBBBB7xHHIQQQIHHHHHH"
SECTION = "<IIQQQQIIQQ"


def elf(sections, machine=62, kind=3, flags=0, abi=0):
    """sections: (name, type, content, link)."""
    names, body, rows = b"\0", b"", [struct.pack(SECTION, *[0] * 10)]
    sections = [*sections, (".shstrtab", 3, None, 0)]
    for name, form, content, link in sections:
        at = len(names)
        names += name.encode() + b"\0"
        content = names if content is None else content
        body += b"\0" * (-len(body) % 16)
        rows.append(struct.pack(SECTION, at, form, 0, 0, 64 + len(body), len(content), link, 1, 1, 24 if form == 2 else 0))
        body += content
    body += b"\0" * (-len(body) % 16)
    head = struct.pack(ELF_HEADER, b"\x7fELF", 2, 1, 1, 0x41 if machine == 190 else 0, abi, kind, machine, 1, 0, 0, 64 + len(body), flags,
                       64, 0, 0, 64, len(rows), len(rows) - 1)
    return head + body + b"".join(rows)


def cubin(sm=80):
    symbols = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0x10, 1, 0, 32)
    code = struct.pack("<QQQQ", 0x000000040000795C, 0, 0x7918, 0)
    return elf([(".text.k", 1, code, 0), (".strtab", 3, b"\0k\0", 0), (".symtab", 2, symbols, 2),
                (".note.nv.cuinfo", 7, struct.pack("<III8sHHI", 8, 8, 1, b"NVIDIA\0\0", 2, sm, 130), 0)], 190, 2, sm << 8 | 2, 8)


def entry(kind, arch, content, flags=0x11, plain=0):
    exact = len(content) if plain else 0
    content += b"\0" * (-len(content) % 8)
    return struct.pack("<HHIQIIHHIIIQQQ", kind, 0x101, 64, len(content), exact, 0, 0, 9 if kind == 1 else 1, arch, 0, 0, flags, 0,
                       plain) + content


def container(*entries):
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, sum(map(len, entries))) + b"".join(entries)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    image, text = cubin(), b".version 9.0\n.target sm_90\n.entry k(){ trap; }\n"
    fatbin = container(entry(2, 80, image), entry(2, 80, zlib.compress(image), 0x1011, len(image)), entry(1, 90, text), entry(0x40, 90, b"x"))
    dynamic = struct.pack("<qQqQqQ", 1, 1, 29, 9, 0, 0)
    needs = struct.pack("<HHIII", 1, 1, 1, 16, 0) + struct.pack("<IHHII", 0, 0, 2, 9, 0)
    library = elf([(".nv_fatbin", 1, fatbin, 0), (".dynstr", 3, b"\0lib.so\0\0GLIBC_2.34\0", 0), (".dynamic", 6, dynamic, 2),
                   (".gnu.version_r", 0x6FFFFFFE, needs, 2), (".rodata", 1, b"\0/home/a/b.cu\0/cudart.shm.\0", 0)])
    for name, data in {"cubin": image, "fatbin": fatbin, "library": library}.items():
        (folder / f"{name}.gpu").write_bytes(data)
    info = "a-1.0.dist-info"
    files = {"a/lib.so": library, f"{info}/METADATA": b"Name: a\nVersion: 1.0\nRequires-Dist: torch==2.11.*\n\nfor sm_90\n",
             f"{info}/WHEEL": b"Tag: py3-none-any\n", f"{info}/RECORD": b"a/lib.so,sha256=x,1\n\"a,b\",,\n",
             f"{info}/sagebuild.json": b'{"archs": "8.0", "modules": [{"name": "a.b", "sources": [{"targets": [{"code": ["sm_80"]}]}]}]}'}
    for way in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(folder / f"way{way}.whl", "w", way) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    for name, data in files.items():
        if name.startswith(info):
            (folder / f"{pathlib.Path(name).name}.text").write_bytes(data)
    for i, archs in enumerate(("8.0 8.6;9.0a,12.0f+PTX", "sm_90a compute_120 sm120", "rtx4090 Hopper native", "all-major", "8.0+PTX 8.0")):
        (folder / f"{i}.archs").write_text(archs)
    for i, name in enumerate(("a_b-1.0+cu130torch2.11.gd1a57a5-cp311-cp311-linux_x86_64.whl",
                              "a-1.0-1x-py2.py3-none.abi3-manylinux_2_28_x86_64.manylinux2014_x86_64.whl")):
        (folder / f"{i}.wheel_name").write_text(name)
    (folder / "torch.ninja").write_text(
        "ninja_required_version = 1.3\ncxx = c++\nnvcc = /cuda/bin/nvcc\n\ncflags = -DA -I/a$ b $\n  -fPIC\n\nrule compile\n"
        "  command = $cxx -MMD -MF $out.d $cflags -c $in -o $out\n  depfile = $out.d\n  deps = gcc\n\nrule cuda_compile\n"
        "  command = $nvcc ${cflags} -c $in -o $out\n\nbuild a.o: compile a.cpp\nbuild b.o | c: cuda_compile b$:.cu | d || e\n\n"
        "default a.o\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
