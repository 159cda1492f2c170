"""Measures one large upload against `curl -T` to the same storage, both timed by the server from the request's first byte to the answer.

usage: throughput.py SAGEBUILD [GIGABYTES] [ROUNDS]. Not part of the test suite: it takes minutes and disk. The storage
neither checks nor keeps what it gets, so that the wire is measured and not Python's SHA-256 or the disk. Take the best of the rounds on
a machine with other work.
"""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
NAME = "sage-1.0-py3-none-any.whl"


def record_line(name: str, digest: bytes, size: int) -> str:
    return f"{name},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{size}\n"


def make_wheel(path: pathlib.Path, size: int) -> None:
    texts = {"sage-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: sage\nVersion: 1.0\n",
             "sage-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    piece, digest, record = os.urandom(1 << 24), hashlib.sha256(), ""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as wheel:
        with wheel.open("sage/data.bin", "w", force_zip64=True) as entry:
            for _ in range(size >> 24):
                entry.write(piece)
                digest.update(piece)
        record += record_line("sage/data.bin", digest.digest(), size >> 24 << 24)
        for name, text in texts.items():
            wheel.writestr(name, text)
            record += record_line(name, hashlib.sha256(text).digest(), len(text))
        wheel.writestr("sage-1.0.dist-info/RECORD", record + "sage-1.0.dist-info/RECORD,,\n")


def call(address: str, **what) -> dict:
    with urllib.request.urlopen(address + "/call", json.dumps(what).encode()) as answer:
        return json.load(answer)


def put_seconds(address: dict) -> float:
    return next(entry["seconds"] for entry in call(address["control"], do="log")["log"] if entry["endpoint"] == "part")


def run(command: list, environment: dict) -> int:
    """Runs it, gives its peak memory in bytes. Asked of /proc, because wait4's figure holds Python's own memory before the exec."""
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while child.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
            peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        except OSError:
            pass
        time.sleep(0.02)
    if child.returncode != 0:
        raise SystemExit(f"{command} ended with {child.returncode}")
    return peak * 1024


def main() -> None:
    sagebuild, gigabytes = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    address = json.loads(server.stdout.readline())
    environment = dict(os.environ, HF_ENDPOINT=address["hub"], HF_TOKEN="hf_writewritewritewrite", NO_PROXY="127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        wheel = pathlib.Path(folder) / NAME
        make_wheel(wheel, int(gigabytes * 1e9))
        size = wheel.stat().st_size
        best = [float("inf"), float("inf")]
        for number in range(rounds):
            plain = {"check_storage_hash": False, "discard": True, "multipart_from": 1 << 60}
            call(address["control"], do="reset", **plain)
            signed = call(address["control"], do="sign", oid="0" * 64)["query"]
            curl_memory = run(["curl", "-sf", "-T", str(wheel), f"{address['storage']}/lfs/{'0' * 64}?{signed}"], environment)
            curl = put_seconds(address)
            call(address["control"], do="reset", **plain)
            memory = run([sagebuild, "upload", "--repo", "user/wheels", "--create", str(wheel)], environment)
            ours = put_seconds(address)
            print(f"round {number + 1}: {size / 1e9:.2f} GB, curl -T {size / curl / 1e6:.0f} MB/s ({curl_memory / 1e6:.0f} MB), "
                  f"sagebuild {size / ours / 1e6:.0f} MB/s ({memory / 1e6:.0f} MB), ratio {curl / ours:.2f}", flush=True)
            best = [min(best[0], curl), min(best[1], ours)]
        print(f"best of each: ratio {best[0] / best[1]:.2f}")
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()
