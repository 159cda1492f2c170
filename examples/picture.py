#!/usr/bin/env python3
"""A picture of a real run: types commands into a terminal of its own and draws what stands there at the end, as SVG.

usage: examples/picture.py SAGEBUILD PYTHON_WITH_TORCH [OUT.svg]      docs/session.svg by default

The package is examples/minisage for one GPU. What changes with each run (times) is drawn as it was.
"""

import fcntl
import html
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

COLUMNS, LINE, WIDTH = 112, 17, 8.1
COMMANDS = ["sagebuild plan --source minisage --arch rtx4090", "sagebuild build --source minisage --arch rtx4090",
            "sagebuild inspect dist/*.whl | head -21"]
SHADES = {"1": "b", "31": "r", "32": "g", "33": "y"}
STYLE = ("rect{fill:#16181d}text{font:13px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#d7dae0;white-space:pre}"
         ".b{font-weight:bold}.r{fill:#ff7b72}.g{fill:#7ee787}.y{fill:#e3b341}.p{fill:#79c0ff;font-weight:bold}")


def typed(command, environment, folder):
    """What the command writes to a terminal."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=end, stderr=end)
    os.close(end)
    output = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            break
        output += piece
    os.close(terminal)
    if process.wait() != 0:
        sys.exit(f"picture: '{command}' ended with {process.returncode}:\n{output.decode()}")
    return output.decode()


def screen(output):
    """Its lines at the end, each a list of (shade, text): a line that overwrote itself is there once, or not at all."""
    for line in output.split("\n"):
        line = line.split("\r")[-1].replace("\x1b[K", "")
        shade, parts = "", []
        for text, code in re.findall(r"([^\x1b]*)(?:\x1b\[(\d*)m)?", line):
            if text:
                parts.append((shade, text))
            shade = SHADES.get(code, "") if code else shade
        yield parts


def drawn(lines):
    height = LINE * len(lines) + 24
    rows = []
    for at, parts in enumerate(lines):
        spans = "".join(f'<tspan class="{shade}">{html.escape(text)}</tspan>' if shade else html.escape(text) for shade, text in parts)
        rows.append(f'<text x="14" y="{LINE * at + 24}" xml:space="preserve">{spans}</text>')
    longest = max(sum(len(text) for _, text in parts) for parts in lines)
    width = round(max(COLUMNS, longest) * WIDTH) + 28
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
            f'<style>{STYLE}</style>\n<rect width="100%" height="100%" rx="8"/>\n' + "\n".join(rows) + "\n</svg>\n")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    binary, python = (pathlib.Path(word).absolute() for word in sys.argv[1:3])
    out = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else root / "docs" / "session.svg"
    with tempfile.TemporaryDirectory() as world:
        shutil.copytree(root / "examples" / "minisage", pathlib.Path(world, "minisage"))
        os.symlink(binary, pathlib.Path(world, "sagebuild"))
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "CUDA_HOME") if name in os.environ}
        environment |= {"PATH": f"{world}:{environment['PATH']}", "TERM": "xterm-256color", "SAGEBUILD_PYTHON": str(python),
                        "SAGEBUILD_CACHE_DIR": f"{world}/cache", "LANG": "C.UTF-8", "FORCE_COLOR": "1"}
        lines = []
        for command in COMMANDS:
            lines.append([("p", "$ "), ("b", command)])
            output = typed(command, environment, world)
            lines += screen(output.replace("\r\n", "\n").replace(str(python), ".venv/bin/python").rstrip("\n"))
            lines.append([])
    out.write_text(drawn(lines[:-1]))


if __name__ == "__main__":
    main()
