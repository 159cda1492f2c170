"""Two builds give the same bytes: in other folders, for another user, with another umask, time zone, locale, hash seed and number of
jobs, compiled anew or taken from a cache.

With the argument Minisage it is examples/minisage, four modules for four architectures; else a package of one small module.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import zipfile

import support

# Names that hash to a place: nvcc makes some of its symbols of the source's folder, and gcc others of a random seed.
KERNEL = """
    static __device__ int counter;
    namespace { __device__ float scale = 2; __constant__ float table[4]; }
    namespace { struct Local { int value; }; }
    template <class T> __global__ void answer(T* out) { out[0] = 42 + counter + scale * table[1]; atomicAdd(&counter, 1); }
    static int marks[] = {__LINE__, __COUNTER__};
    const char* place() { return __FILE__ __DATE__ __TIME__; }
    void double_on_gpu(float* values, int count) {
      marks[0] += sizeof(Local) + place()[0];
      answer<<<1, count>>>(values);
    }
"""


class Reproducible(support.EndToEnd):
    def variant(self, name, source, jobs, arch, umask=0o022, cache=None, **variables):
        """The wheel that is built of a copy of `source` in a folder called `name`."""
        place = self.world / name
        for part in ("home", "tmp", "out"):
            (place / part).mkdir(parents=True)
        shutil.copytree(source, place / "source", symlinks=True)
        environment = dict(HOME=str(place / "home"), TMPDIR=str(place / "tmp"), USER=name, LOGNAME=name,
                           XDG_CACHE_HOME=str(cache or place / "cache"), **variables)
        before = os.umask(umask)
        try:
            running = self.start("build", "--source", place / "source", "--arch", arch, "--python", support.torch_python(),
                                 "--output", place / "out", "--jobs", str(jobs), **environment)
        finally:
            os.umask(before)
        outcome = running.finish(3000)
        self.assertEqual(outcome.code, 0, outcome)
        return pathlib.Path(outcome.stdout.rstrip("\n"))

    def assert_same_bytes(self, first, second):
        self.assertEqual(first.name, second.name)
        if first.read_bytes() == second.read_bytes():
            return
        with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
            names = sorted({*one.namelist(), *other.namelist()})
            content = lambda wheel, name: wheel.read(name) if name in wheel.namelist() else None
            different = [name for name in names if content(one, name) != content(other, name)]
        self.fail(f"{first} and {second} differ in {different or 'how they are packed'}")

    def assert_reproducible(self, source, arch, load=contextlib.nullcontext()):
        first = self.variant("first", source, 1, arch, TZ="UTC")
        with load:
            second = self.variant("a-second/of-another.length", source, 4, arch, umask=0o077, TZ="Asia/Tokyo", LC_ALL="C",
                                  LANG="de_DE.UTF-8", PYTHONHASHSEED="7", PYTHONDONTWRITEBYTECODE="1")
        self.assert_same_bytes(first, second)
        warm = self.variant("third", source, 2, arch, umask=0o002, TZ="America/New_York",
                            cache=self.world / "a-second/of-another.length/cache")
        self.assert_same_bytes(first, warm)


class Load:
    """Another process that takes a core meanwhile."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Tiny(Reproducible):
    def test_one_module(self):
        self.assert_reproducible(support.tiny_package(self.world / "tiny", kernel=KERNEL), "8.9 12.0+PTX")


class Minisage(Reproducible):
    def test_four_modules_for_four_architectures(self):
        package = self.world / "minisage"
        shutil.copytree(support.SOURCE / "examples" / "minisage", package)
        support.git(package, "init", "-q")
        support.git(package, "add", "-A")
        support.git(package, "commit", "-q", "-m", "minisage")
        self.assert_reproducible(package, "8.0 8.9 9.0 12.0+PTX", Load())


if __name__ == "__main__":
    support.main()
