"""Do two wheels hold the same kernels? Per module, architecture and kernel: the instructions (cuobjdump -sass); per module: the PTX of
each kernel (cuobjdump -ptx) and the exported symbols (nm).

    same_kernels.py OURS.whl THEIRS.whl    prints a line per module and architecture; exit 1 if anything differs

An architecture that only one wheel has is told, not compared. cuobjdump comes with triton, next to torch.
"""

import collections
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

# nvcc's module id is part of the names of what is private to a source, and differs from one way of building to another.
MODULE_ID = re.compile(r"_[0-9a-f]{8}_\d+_\w+?_cu_[0-9a-f]{8}(_\d+)?")
SASS_HEAD = re.compile(r"^\s*Function : (\S+)|^arch = (\S+)")
# Where a kernel or a function begins. What lies between two of them is the first one's, but for the comment that names the second:
# assembler text in a kernel may have a brace at the beginning of a line, so no brace tells the end. Where variables stand, and which
# of torch's nobody uses, is not part of it.
PTX_FUNCTION = re.compile(r"^\.(?:visible |weak |extern )*\.?(entry|func)\b", re.MULTILINE)
PTX_OTHER = re.compile(r"^(?:\s*// \.globl\b|\.(?:visible |weak |extern )*\.?(?:global|const)\b).*$", re.MULTILINE)


def cuobjdump(*arguments):
    program = os.environ.get("CUOBJDUMP", "cuobjdump")
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def digest(text):
    return hashlib.sha256(MODULE_ID.sub("_ID", text).encode()).hexdigest()[:16]


def machine_code(library):
    """{(sm_89, kernel): digest of its instructions}; a kernel of several sources has several digests, sorted."""
    bodies = collections.defaultdict(list)
    arch = body = None
    for line in cuobjdump("-sass", library).splitlines():
        head = SASS_HEAD.match(line)
        if head and head[2]:
            arch, body = head[2], None
        elif head:
            body = []
            bodies[arch, MODULE_ID.sub("_ID", head[1])].append(body)
        elif line.startswith("Fatbin"):
            body = None
        elif body is not None:
            # How wide its columns are depends on the longest line of all kernels in a file.
            body.append(" ".join(line.split()))
    return {key: sorted(digest("\n".join(lines).rstrip()) for lines in found) for key, found in bodies.items()}


def assembly(library):
    """{(compute_120, kernel): digests of its PTX}."""
    bodies = collections.defaultdict(list)
    for image in re.split(r"^Fatbin ptx code:$", cuobjdump("-ptx", library), flags=re.MULTILINE)[1:]:
        image = image.partition("\nFatbin ")[0]
        arch = re.search(r"^\.target sm_(\w+)", image, re.MULTILINE)[1]
        begins = [*PTX_FUNCTION.finditer(image), None]
        for begin, end in zip(begins, begins[1:]):
            if begin[1] != "entry":
                continue
            body = PTX_OTHER.sub("", image[begin.start():end.start() if end else len(image)])
            # Labels and stack frames are numbered through the file, so one function more in front of them moves all.
            text = re.sub(r"\$L__BB\d+_", "$L__BB_", re.sub(r"__local_depot\d+", "__local_depot", body))
            name = re.search(r"\.entry\s+(\w+)", body)[1]
            bodies[f"compute_{arch}", MODULE_ID.sub("_ID", name)].append(digest(text.strip()))
    return {key: sorted(found) for key, found in bodies.items()}


def exported(library):
    """Without what is weak or unique: inline functions and variables of headers, which each compile emits or inlines as it sees fit."""
    listing = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {name for _, kind, name in map(str.split, listing.splitlines()) if kind not in "WVu"}


def modules(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        return {pathlib.Path(name).name.partition(".")[0]: archive.extract(name, folder) for name in archive.namelist() if name.endswith(".so")}


def compare(ours, theirs):
    """Gives (lines to print, the number of differences)."""
    lines, wrong = [], 0
    with tempfile.TemporaryDirectory() as folder:
        mine, other = (modules(wheel, f"{folder}/{i}") for i, wheel in enumerate((ours, theirs)))
        for name in sorted(mine.keys() | other.keys()):
            if name not in mine or name not in other:
                lines.append(f"{name}: only in {ours if name in mine else theirs}")
                wrong += 1
                continue
            kernels, wanted = ({**machine_code(library), **assembly(library)} for library in (mine[name], other[name]))
            archs, other_archs = ({arch for arch, _ in found} for found in (kernels, wanted))
            for arch in sorted(archs | other_archs):
                if arch not in archs or arch not in other_archs:
                    lines.append(f"{name} {arch}: only in {ours if arch in archs else theirs}, not compared")
                    continue
                keys = {key for key in kernels.keys() | wanted.keys() if key[0] == arch}
                different = [key for key in keys if kernels.get(key) != wanted.get(key)]
                together = digest("".join(f"{key}{kernels.get(key)}" for key in sorted(keys)))
                lines.append(f"{name} {arch}: {len(keys)} kernels, {len(keys) - len(different)} the same, digest {together}")
                lines += [f"  differs: {kernel}" for _, kernel in sorted(different)[:5]]
                wrong += len(different)
            symbols, wanted = exported(mine[name]), exported(other[name])
            lines.append(f"{name}: {len(symbols)} exported symbols, {len(symbols ^ wanted)} not in both")
            lines += [f"  {'ours' if symbol in symbols else 'theirs'}: {symbol}" for symbol in sorted(symbols ^ wanted)[:5]]
            wrong += len(symbols ^ wanted)
    return lines, wrong


if __name__ == "__main__":
    told, differences = compare(*sys.argv[1:3])
    print("\n".join(told))
    sys.exit(1 if differences else 0)
