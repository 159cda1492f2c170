"""`verify --import` with a real Python and its torch: modules that load, that miss a symbol or a library, that crash, that need a driver.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import support
from inspect_test import make_wheel
from support import BINARY

MODULE = """
#include <stdlib.h>
struct Def {{ long count; void *type; void *init; long index; void *copy; const char *name; const char *doc; long size; void *more[5]; }};
static struct Def def = {{1, 0, 0, 0, 0, "{name}", 0, -1, {{0}}}};
extern void *PyModule_Create2(struct Def *, int);
{before}
void *PyInit_{name}(void) {{ {inside} return PyModule_Create2(&def, 1013); }}
"""
OLD_CHECK = "_ZN3c104cuda29c10_cuda_check_implementationEiPKcS2_ib"


class Import(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sagebuild-import"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def module(self, name, before="", inside="", libraries=()):
        source = self.folder / f"{name}.c"
        source.write_text(MODULE.format(name=name, before=before, inside=inside))
        flags = [f"-L{self.folder}", f"-L{support.torch_packages() / 'torch/lib'}", *(f"-l:{library}" for library in libraries)]
        subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", self.folder / name, "-Wl,--no-as-needed", *flags], check=True)
        return (self.folder / name).read_bytes()

    def library(self, name, text):
        subprocess.run(["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-x", "c", "-", "-o", self.folder / name], input=text,
                       text=True, check=True)

    def found(self, modules, label="", **variables):
        wheel = make_wheel(self.folder, f"pkg-1.0{label}-py3-none-linux_x86_64.whl",
                           {f"pkg/{name}.so": content for name, content in modules.items()}
                           # Upstream's package would hide it.
                           | {"pkg/__init__.py": b"try:\n  from . import *\nexcept ImportError: pass\n"})
        done = subprocess.run([BINARY, "--json", "verify", wheel, "--import", "--python", support.torch_python()], capture_output=True,
                              text=True, timeout=support.LIMIT, env={**os.environ, **variables})
        rows = json.loads(done.stdout)["findings"]
        return {row["subject"]: (row["code"], row["message"]) for row in rows if row["code"] in ("SB137", "SB138")}, done

    def test_each_module_is_loaded_by_itself(self):
        self.library("libaway.so.1", "void away(void) {}")
        self.library("libnear.so", "void near(void) {}")
        self.library("libcuda.so.1", "int cuInit(unsigned f) { return 0; }")
        found, done = self.found({
            "_sound": self.module("_sound", '#include <stdio.h>\n', 'puts("noise"); fputs("noise", stderr);'),
            "_library": self.module("_library", "extern void away(void);", "away();", ["libaway.so.1"]),
            # A library of the wheel, which its package would load by its path.
            "_near": self.module("_near", "extern void near(void);", "near();", ["libnear.so"]),
            "lib/libnear": (self.folder / "libnear.so").read_bytes(),
            "_crash": self.module("_crash", "", "abort();"),
            "_exit": self.module("_exit", "", "_Exit(0);"),
            "_raises": self.module("_raises", "extern void PyErr_SetString(void *, const char *); extern void *PyExc_OSError;",
                                   'PyErr_SetString(PyExc_OSError, "no such\\nthing"); return 0;'),
            "_driver": self.module("_driver", "extern int cuInit(unsigned);", "cuInit(0);", ["libcuda.so.1"]),
        })
        self.assertEqual(found, {
            "pkg/_library.so": ("SB137", "ImportError: libaway.so.1: cannot open shared object file: No such file or directory"),
            "pkg/_crash.so": ("SB138", "its import: killed by signal 6 (Aborted)"),
            "pkg/_exit.so": ("SB138", "its import ends Python (exit status 0)"),
            "pkg/_raises.so": ("SB137", "OSError: no such\nthing"),
        })
        self.assertEqual(done.returncode, 5, done)
        self.assertNotIn("noise", done.stdout + done.stderr)
        self.assertIn("7 modules imported with Python 3.", done.stderr)

    def test_a_driver_is_found_where_the_user_has_it_and_nothing_else_is(self):
        self.library("libaway.so.1", "void away(void) {}")
        self.library("libcuda.so.1", "extern void abort(void); int cuInit(unsigned f) { abort(); }")  # no stub of ours does that
        modules = {"_library": self.module("_library", "extern void away(void);", "away();", ["libaway.so.1"]),
                   "_driver": self.module("_driver", "extern int cuInit(unsigned);", "cuInit(0);", ["libcuda.so.1"])}
        beside = self.folder / "driver"
        beside.mkdir()
        for name in ("libcuda.so.1", "libaway.so.1"):
            (self.folder / name).rename(beside / name)
        found, _ = self.found(modules, LD_LIBRARY_PATH=str(beside))
        self.assertEqual({name: code for name, (code, _) in found.items()}, {"pkg/_library.so": "SB137", "pkg/_driver.so": "SB138"})

    def test_a_python_that_the_wheel_is_not_for_is_refused(self):
        wheel = make_wheel(self.folder, "pkg-1.0-cp39-cp39-linux_x86_64.whl", {"pkg/_sound.so": self.module("_sound")})
        for python in (support.torch_python(), "3.12"):
            done = subprocess.run([BINARY, "verify", wheel, "--import", "--python", python], capture_output=True, text=True,
                                  timeout=support.LIMIT)
            self.assertEqual(done.returncode, 3, done)
            self.assertIn(", and the wheel is for cp39-cp39\n", done.stderr)

    def test_a_path_that_is_no_text_is_told_as_json(self):
        script = support.SOURCE / "patches" / "verify" / "import_module.py"
        done = subprocess.run([support.torch_python(), script, "plain", "module", b"/caf\xe9.so", "caf"], capture_output=True,
                              text=True, timeout=support.LIMIT)
        self.assertTrue(done.stdout.startswith('{"module": "ImportError: /caf?.so: cannot open'), done)

    def test_torch_is_there_first_and_its_symbols_must_be_too(self):
        # A type's name is data of torch's, so that it is bound before anything is called.
        uses = "extern char {0}[]; char *used = {0};"
        torch = ["libc10.so", "libc10_cuda.so"]
        found, done = self.found({"_older": self.module("_older", uses.format(OLD_CHECK), libraries=torch),
                                  "_fits": self.module("_fits", uses.format("_ZTSN3c105ErrorE"), libraries=torch)})
        self.assertEqual(found, {"pkg/_older.so": ("SB137", f"ImportError: _older.so: undefined symbol: {OLD_CHECK}")})
        self.assertIn(", torch 2.", done.stderr)


if __name__ == "__main__":
    support.main()
