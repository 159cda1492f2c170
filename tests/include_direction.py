"""Holds the include direction of the rooms: a file may include its own level's base and anything below, engines never each other.

And that nobody asks the file system in ways that throw: std::filesystem's own errors end a command as a bug of ours, and
name no next step. sagebuild/sys/paths.hpp has the same with an Error.
"""

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
    "archive": "source", "toml++": "base", "openssl/": "base", "lz4": "gpu", "zstd": "gpu", "zlib": "gpu",
}
THIRD = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.MULTILINE)


# Those that throw unless an std::error_code is their last argument.
THROWING = (
    "absolute canonical copy copy_file copy_symlink create_directories create_directory create_directory_symlink create_hard_link "
    "create_symlink current_path equivalent exists file_size hard_link_count is_block_file is_character_file is_directory is_empty "
    "is_fifo is_other is_regular_file is_socket is_symlink last_write_time permissions proximate read_symlink relative remove "
    "remove_all rename resize_file space status symlink_status temp_directory_path weakly_canonical directory_iterator "
    "recursive_directory_iterator").split()
CALL = re.compile(r"\b(?:std::filesystem|fs)::(%s)\b(?:\s+\w+)?\s*[({]" % "|".join(THROWING))
MEMBER = re.compile(r"(?:\.|->)(?:exists|file_size|is_directory|is_empty|is_regular_file|is_symlink|last_write_time|symlink_status|"
                    r"increment|refresh)\(\s*\)")
HARMLESS = re.compile(r"\b(?:std::error_code|(?:std::filesystem|fs)::file_status) (\w+)")  # a status is looked at, not asked for
RANGE = re.compile(r"for \([^;()]*:\s*$")


def throwing_calls(text: str):
    """Positions of calls that throw. A directory iterator may stand in a loop that calls increment(error), not in a range."""
    harmless = set(HARMLESS.findall(text))
    for call in CALL.finditer(text):
        depth, end = 1, call.end()
        while depth:
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(text[end], 0)
            end += 1
        last = text[call.end():end - 1].rpartition(",")[2].strip()
        begin_of_line = text.rfind("\n", 0, call.start()) + 1
        if last not in harmless or RANGE.search(text[begin_of_line:call.start()]):
            yield call.start()
    for call in MEMBER.finditer(text):
        yield call.start()


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
        for place in throwing_calls(text):
            line = text.count("\n", 0, place) + 1
            yield f"{name}:{line}: throws std::filesystem's own error: use sagebuild/sys/paths.hpp, or pass an std::error_code"
        for header in THIRD.findall(text):
            for prefix, door in DOORS.items():
                if header.startswith(prefix) and room != door:
                    yield f"{name}: <{header}> belongs to '{door}' alone"


if __name__ == "__main__":
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every include points down")
    sys.exit(1 if found else 0)
