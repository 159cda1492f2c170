"""What the end-to-end tests share: running the built binary in a world of its own, and a package small enough to build in seconds.

Environment, set by tests/e2e/CMakeLists.txt:
  SAGEBUILD_TEST_BINARY  the program under test
  SAGEBUILD_TEST_SOURCE  the repository
  SAGEBUILD_TEST_CACHE   cache folder that holds the torch environment; kept between runs
  SAGEBUILD_TEST_PYTHON  a Python with torch, instead of one from that cache
"""

import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import skips

BINARY = os.environ["SAGEBUILD_TEST_BINARY"]
SOURCE = pathlib.Path(os.environ["SAGEBUILD_TEST_SOURCE"])
CACHE = pathlib.Path(os.environ["SAGEBUILD_TEST_CACHE"])
LIMIT = 300  # seconds until a command counts as hung


def torch_python():
    """The Python with torch that environment_test.py prepared."""
    named = os.environ.get("SAGEBUILD_TEST_PYTHON")
    return named or (CACHE / "torch-python").read_text().strip()


def torch_packages():
    """The site-packages folder with torch, and with a CUDA compiler in nvidia/cu13."""
    found = subprocess.run([torch_python(), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
                           check=True, capture_output=True, text=True).stdout.strip()
    return pathlib.Path(found)


def environment_with_torch(folder):
    """A virtual environment like a user's, to install into, with the tests' torch. Gives the variables of one that is activated."""
    subprocess.run([torch_python(), "-m", "venv", "--without-pip", folder], check=True)
    packages, = folder.glob("lib/python3*/site-packages")
    (packages / "tests.pth").write_text(f"{torch_packages()}\n")
    return {"VIRTUAL_ENV": str(folder), "PATH": f"{folder}/bin:{os.environ['PATH']}"}


def git(folder, *arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def tiny_package(folder, setup=None, kernel=None, binding=None, extra_sources=()):
    """A CUDA extension without torch's headers: a kernel, a C binding, a setup.py. Gives the folder, a git repository."""
    shutil.copytree(SOURCE / "tests" / "e2e" / "packages" / "tiny", folder)
    for name, text in (("setup.py", setup), ("csrc/kernel.cu", kernel), ("csrc/binding.cpp", binding), *extra_sources):
        if text is not None:
            (folder / name).write_text(textwrap.dedent(text))
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "tiny")
    return folder


def session_members(session):
    """Process ids of a session: what a command started, in whatever process group, unless it fled on purpose."""
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            if int(fields[3]) == session and fields[0] != "Z":
                members.append(int(entry))
    return members


class Outcome:
    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Running:
    """A command in its own session; its stderr can be waited on line by line."""

    def __init__(self, arguments, **options):
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, start_new_session=True, **options)
        self.output, self.errors = [], []
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.output), (self.process.stderr, self.errors))]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, lines):
        with stream:
            for line in stream:
                with self._changed:
                    lines.append(line)
                    self._changed.notify_all()

    def wait_for_line(self, part, limit=LIMIT):
        with self._changed:
            if not self._changed.wait_for(lambda: any(part in line for line in self.errors), limit):
                raise AssertionError(f"no line with {part!r} on stderr: {''.join(self.errors)}")

    def members(self):
        return session_members(self.process.pid)

    def finish(self, limit=LIMIT):
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"no end after {limit} s: {''.join(self.errors)}")
        for reader in self._readers:
            reader.join(10)
        code = self.process.returncode
        return Outcome(128 - code if code < 0 else code, "".join(self.output), "".join(self.errors))

    def end(self):
        for member in self.members():
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


class Gate:
    """A header that blocks whoever includes it until it is opened: a compile that a test can hold at a known point.

    The compiler opens the FIFO for reading; `reached` returns when it has done so.
    """

    def __init__(self, folder):
        self.path = folder / "gate.h"
        os.mkfifo(self.path)
        self._writer = None

    def include(self):
        return f'#include "{self.path}"\n'

    def reached(self, running):
        """Returns when a compiler of this command reads the gate; it goes on reading until the gate opens or it is killed."""
        self.close()
        wait_for(self.read_again, running)

    def read_again(self):
        """Whether somebody reads, or waits to read; holds it from now on."""
        try:
            self._writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
        return self._writer is not None

    def close(self):
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    def open(self):
        """Lets the reader go on, and each later one too: the FIFO becomes an ordinary empty header."""
        plain = self.path.with_suffix(".plain")
        plain.write_text("")
        os.replace(plain, self.path)
        self.close()


class EndToEnd(unittest.TestCase):
    """Each test has a home, a cache and a temporary folder of its own, and an environment that holds nothing else."""

    maxDiff = None

    def setUp(self):
        self.world = pathlib.Path(tempfile.mkdtemp(prefix="sagebuild-e2e-"))
        self.addCleanup(shutil.rmtree, self.world, ignore_errors=True)
        for name in ("home", "cache", "tmp", "out"):
            (self.world / name).mkdir()
        self.out = self.world / "out"
        self.environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.world / "home"),
            "XDG_CACHE_HOME": str(self.world / "cache"), "TMPDIR": str(self.world / "tmp"),
        }
        for name in ("SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
                     "PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX",
                     "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def start(self, *arguments, prefix=(), **variables):
        running = Running([*prefix, BINARY, *map(str, arguments)], cwd=self.world, env={**self.environment, **variables})
        self.addCleanup(running.end)
        return running

    def run_sagebuild(self, *arguments, prefix=(), **variables):
        return self.start(*arguments, prefix=prefix, **variables).finish()

    def build_arguments(self, source, *more, arch="8.9"):
        return ["build", "--source", source, "--arch", arch, "--python", torch_python(), "--output", self.out, *more]

    def build(self, source, *more, arch="8.9", prefix=(), **variables):
        return self.run_sagebuild(*self.build_arguments(source, *more, arch=arch), prefix=prefix, **variables)

    def assert_fails(self, outcome, code, *parts):
        """Exit code, silent stdout, an error line in the house style, a hint, and `parts` somewhere on stderr."""
        self.assertEqual(outcome.code, code, outcome)
        self.assertEqual(outcome.stdout, "", outcome)
        lines = outcome.stderr.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        self.assertEqual(len(errors), 1, outcome)
        self.assertFalse(errors[0].endswith("."), outcome)
        self.assertTrue(any(line.startswith("hint: ") for line in lines), outcome)
        self.assertNotIn("Traceback (most recent call last)\n  File \"<string>\"", outcome.stderr)
        for part in parts:
            self.assertIn(part, outcome.stderr, outcome)

    def assert_nothing_left(self):
        """No wheel, whole or in part, and no temporary folder."""
        self.assertEqual(sorted(self.out.rglob("*")) if self.out.exists() else [], [])
        self.assertEqual(sorted((self.world / "tmp").iterdir()), [])
        halves = [path for path in (self.world / "cache").rglob("*") if ".tmp" in path.name or path.name.endswith(".part")]
        self.assertEqual(halves, [])


def wait_for(condition, running, limit=LIMIT, alive=True):
    """Gives the first true value of a condition that nobody announces. Fails when the command ends before, unless not `alive`."""
    end = time.monotonic() + limit
    while True:
        ended = running.process.poll() is not None
        value = condition()
        if value:
            return value
        if alive and ended:
            raise AssertionError(f"ended too early: {running.finish(1)}")
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit} s: {''.join(running.errors)}")
        time.sleep(0.02)


def readers_of(path, running):
    """The command's processes that have this file open."""
    found = []
    for member in running.members():
        try:
            opened = [os.readlink(entry) for entry in pathlib.Path("/proc", str(member), "fd").iterdir()]
        except OSError:
            continue
        if str(path) in opened:
            found.append(member)
    return found


def require(condition, reason):
    return unittest.skipUnless(condition, reason)


def can_mount():
    return subprocess.run([*mounted("/mnt"), "true"], capture_output=True).returncode == 0


def mounted(folder, options="rw"):
    """A prefix that runs a command with `folder` on an empty file system of its own, seen by the command alone."""
    return [SOURCE / "tests" / "support" / "mounted.sh", f"{folder}:{options}", "--"]


def main():
    skips.run_tests()
