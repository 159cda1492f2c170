"""What the Python tests of the hub's commands share: the test Hub as a process, wheels, and the program under test."""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import urllib.request
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.environ["SAGEBUILD_TEST_BINARY"]
TOKEN = "hf_writewritewritewrite"
REPO = "user/wheels"


@contextlib.contextmanager
def test_hub():
    """Gives its addresses."""
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield json.loads(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()


def call(address, **what):
    with urllib.request.urlopen(address["control"] + "/call", json.dumps(what).encode()) as answer:
        return json.load(answer)


def make_wheel(folder, name, size):
    """A sound wheel called `name` with a module of `size` random bytes."""
    distribution, version, python, abi, platform = name.removesuffix(".whl").split("-")
    info = f"{distribution}-{version}.dist-info"
    content = {
        f"{distribution}/_module.so": os.urandom(size),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {python}-{abi}-{platform}\n".encode(),
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = pathlib.Path(folder) / name
    with zipfile.ZipFile(path, "w") as archive:
        for inner, data in content.items():
            archive.writestr(inner, data)
    return path


def environment(address, home):
    return {"PATH": os.environ["PATH"], "HOME": str(home), "HF_ENDPOINT": address["hub"], "HF_TOKEN": TOKEN, "TERM": "xterm",
            "SAGEBUILD_CACHE_DIR": str(pathlib.Path(home) / "cache")}
