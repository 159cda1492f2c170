#!/usr/bin/env python3
"""Makes the Python wheel `sagebuild` of a relocatable build: the whole tree below the package, and a command that becomes the program.

usage: make-wheel.py TREE VERSION PLATFORM TARGET_FOLDER
  TREE: a folder that bundle.sh went through. PLATFORM: such as linux_x86_64, or what auditwheel finds that it is.
"""

import base64
import hashlib
import pathlib
import sys
import zipfile

PACKAGE = '''"""The program sagebuild. `sagebuild.program()` is its path; python -m sagebuild runs it."""

import os
import pathlib
import sys


def program():
    return pathlib.Path(__file__).resolve().parent / "bin" / "sagebuild"


def main():
    # In place of this Python, so that signals and the exit status are the program's own.
    os.execv(program(), ["sagebuild", *sys.argv[1:]])
'''
MAIN = "from sagebuild import main\n\nmain()\n"
METADATA = """\
Metadata-Version: 2.1
Name: sagebuild
Version: {version}
Summary: CUDA wheels for many GPU architectures, without a GPU
License: Apache-2.0
Requires-Python: >=3.8
Classifier: Environment :: GPU :: NVIDIA CUDA
Classifier: Operating System :: POSIX :: Linux
Classifier: Topic :: Software Development :: Build Tools
Description-Content-Type: text/markdown

sagebuild turns a git URL into a CUDA wheel for many GPU architectures, on a machine without a GPU. `sagebuild --help` shows how;
`sagebuild doctor` says what this machine lacks for it. The licences of the libraries inside are in `share/doc/sagebuild/bundled`.
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: make-wheel.py\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n"
ENTRY_POINTS = "[console_scripts]\nsagebuild = sagebuild:main\n"
TIME = (1980, 1, 1, 0, 0, 0)  # the same tree makes the same wheel


def content(tree, version, platform):
    """What lies in the wheel: name, bytes, whether it is a program."""
    yield "sagebuild/__init__.py", PACKAGE.encode(), False
    yield "sagebuild/__main__.py", MAIN.encode(), False
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            yield f"sagebuild/{path.relative_to(tree)}", path.read_bytes(), bool(path.stat().st_mode & 0o100)
    info = f"sagebuild-{version}.dist-info"
    yield f"{info}/METADATA", METADATA.format(version=version).encode(), False
    yield f"{info}/WHEEL", WHEEL.format(platform=platform).encode(), False
    yield f"{info}/entry_points.txt", ENTRY_POINTS.encode(), False


def main():
    tree, version, platform, target = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
    record = []
    path = target / f"sagebuild-{version}-py3-none-{platform}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:

        def write(name, data, is_program=False):
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if is_program else 0o100644) << 16
            wheel.writestr(entry, data)

        for name, data, is_program in content(tree, version, platform):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\n")
            write(name, data, is_program)
        name = f"sagebuild-{version}.dist-info/RECORD"
        write(name, "".join([*record, f"{name},,\n"]).encode())
    print(path)


if __name__ == "__main__":
    main()
