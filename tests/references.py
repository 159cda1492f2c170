"""Holds that what the repository says of itself is there.

In code, comments and documents: a reference to docs/NAME.md, README.md or CONTRIBUTING.md, and to a heading of one
(docs/nvcc.md, "Keys"). In documents: links, anchors, and paths in backquotes (those with a word in capitals, such as
`patches/NAME.toml`, stand for many; '*' is a pattern), and names of functions, types and constants. Nowhere: documents
that a clone does not have. And that every key of a recipe is told in docs/recipes.md, every finding in docs/inspect.md.
"""

import pathlib
import re
import sys

TREES = ["src", "include", "tests", "patches", "docs", "cmake", "bench", "examples", "docker", "data"]
SUFFIXES = {".cpp", ".hpp", ".h", ".cu", ".cuh", ".py", ".sh", ".toml", ".txt", ".md", ".cmake"}
ELSEWHERE = re.compile(r"\bdesign (?:D\d|section\b)|\bfacts(?:/\w+\.md|,? section\b)|\.\./shared\b", re.IGNORECASE)
REFERENCE = re.compile(r'\b(docs/[\w-]+\.md|README\.md|CONTRIBUTING\.md)(?:, "([^"\n]+)")?')
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)")
NAMED_PATH = re.compile(r"`((?:%s)/[^`\s]*)`" % "|".join(TREES))
PLACEHOLDER = re.compile(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")
# `next_mode`, `SourceCompile::direct`, `build()`; not `sm_90a`, `compute_90` and `_norm`, which stand for things of others.
NAME = re.compile(r"`(?:\w+::)*((?!_|sm_|compute_)\w*(?:_\w|[a-z][A-Z])\w*)(?:\(\))?`")
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
KEY = re.compile(r"""(?:text|texts|boolean|integer|number|table|tables|has|from_one|_at|_words)\((?:table, )?"([a-z_]+)\"""")
LINE_OF_COMMENT = re.compile(r"\n[ \t]*(?://|#|\*)[ \t]?")


def headings(document: pathlib.Path):
    text = CODE_BLOCK.sub("", document.read_text())
    return [line.lstrip("#").strip() for line in text.splitlines() if re.match(r"#{1,6} ", line)]


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def wrong_references(root: pathlib.Path, text: str):
    for name, heading in REFERENCE.findall(LINE_OF_COMMENT.sub(" ", text)):
        if not (root / name).is_file():
            yield f"there is no {name}"
        elif heading and heading not in headings(root / name):
            yield f"{name} has no heading '{heading}'"


def wrong_links(root: pathlib.Path, document: pathlib.Path, text: str):
    text = CODE_BLOCK.sub("", text)
    for name, part in LINK.findall(text):
        target = document.parent / name if name else document
        if not target.exists():
            yield f"links to '{name}', which is not there"
        elif part and part not in map(anchor, headings(target)):
            yield f"links to '{name}#{part}', and there is no such heading"
    for name in NAMED_PATH.findall(text):
        if not PLACEHOLDER.search(name) and not any(root.glob(name.rstrip("/"))):
            yield f"names '{name}', which is not there"


def words_of_code(root: pathlib.Path):
    trees = ["src", "include", "tests", "patches"]
    files = [path for tree in trees for path in root.glob(f"{tree}/**/*") if path.suffix in {".cpp", ".hpp", ".h", ".py"}]
    return {word for path in files for word in re.findall(r"\w+", path.read_text(errors="replace"))}


def unknown_names(root: pathlib.Path):
    """Names of functions, types and constants in docs/ that the code does not have."""
    known = words_of_code(root)
    for document in sorted(root.glob("docs/*.md")):
        for name in NAME.findall(CODE_BLOCK.sub("", document.read_text())):
            if name not in known and not PLACEHOLDER.search(name):
                yield f"{document.relative_to(root)}: names '{name}', which the code does not have"


def untold_keys(root: pathlib.Path):
    """Keys that the readers of recipes know and docs/recipes.md does not tell."""
    document = (root / "docs/recipes.md").read_text()
    for name in ("src/recipe/recipe.cpp", "src/patch/rule.cpp"):
        for key in sorted(set(KEY.findall((root / name).read_text()))):
            if f"`{key}`" not in document and f"`[{key}]`" not in document and f"`[[{key}]]`" not in document:
                yield f"docs/recipes.md: does not tell of the key '{key}' that {name} reads"


def untold_findings(root: pathlib.Path):
    """Codes of findings that docs/inspect.md does not tell, or tells and there are none."""
    code = set(re.findall(r'"(SB\d+)", "', (root / "src/model/finding.cpp").read_text()))
    told = set(re.findall(r"^\| (SB\d+) \|", (root / "docs/inspect.md").read_text(), re.MULTILINE))
    for name in sorted(code ^ told):
        yield f"docs/inspect.md: the finding {name} is {'not told' if name in code else 'told, and there is none'}"


def complaints(root: pathlib.Path):
    files = [path for tree in TREES for path in root.glob(f"{tree}/**/*") if path.suffix in SUFFIXES and path.is_file()]
    for path in sorted([*files, *root.glob("*.md"), root / "Makefile", root / "CMakeLists.txt"]):
        if path == pathlib.Path(__file__).resolve():
            continue
        text, name = path.read_text(errors="replace"), path.relative_to(root)
        for found in ELSEWHERE.finditer(LINE_OF_COMMENT.sub(" ", text)):
            yield f"{name}: '{found.group()}' is a document that a clone does not have: name one of docs/"
        for wrong in wrong_references(root, text):
            yield f"{name}: {wrong}"
        if path.suffix == ".md":
            for wrong in wrong_links(root, path, text):
                yield f"{name}: {wrong}"
    yield from unknown_names(root)
    yield from untold_keys(root)
    yield from untold_findings(root)


if __name__ == "__main__":
    found = list(complaints(pathlib.Path(sys.argv[1]).resolve()))
    print("\n".join(found) or "every reference leads somewhere")
    sys.exit(1 if found else 0)
