"""Holds the include direction of the rooms: a file may include its own level's base and anything below, engines never each other."""

import pathlib
import re
import sys

LEVELS = [
    ["base"],
    ["sys", "net"],
    ["vcs"],
    ["model"],
    ["report"],
    ["source", "recipe", "patch", "probe", "nvcc", "link", "plan", "exec", "cache", "wheel", "gpu", "verify", "hub", "env"],
    ["app"],
    ["cli"],
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
INCLUDE = re.compile(r'^\s*#\s*include\s+"(?:sagebuild/)?([a-z]+)/', re.MULTILINE)
# One door per library: who may include which third-party header.
DOORS = {
    "curl/": "net", "git2": "vcs", "CLI/": "cli", "zip.h": "wheel", "libelf": "sys", "gelf": "sys", "re2/": "patch",
    "archive": "source", "toml++": "base", "openssl/": "base",
}
THIRD = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.MULTILINE)


def room_of(path: pathlib.Path, root: pathlib.Path) -> str:
    parts = path.relative_to(root).parts
    return parts[2] if parts[0] == "include" else parts[1]


def complaints(root: pathlib.Path):
    for path in sorted([*root.glob("include/**/*.hpp"), *root.glob("src/**/*.[ch]pp")]):
        room, text, name = room_of(path, root), path.read_text(), path.relative_to(root)
        if room not in LEVEL:
            yield f"{name}: room '{room}' is not in the list of levels"
            continue
        for other in INCLUDE.findall(text):
            if other not in LEVEL:
                yield f"{name}: includes unknown room '{other}'"
            elif other != room and LEVEL[other] >= LEVEL[room]:
                yield f"{name}: '{room}' may not include '{other}'"
        for header in THIRD.findall(text):
            for prefix, door in DOORS.items():
                if header.startswith(prefix) and room != door:
                    yield f"{name}: <{header}> belongs to '{door}' alone"


if __name__ == "__main__":
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every include points down")
    sys.exit(1 if found else 0)
