"""The list of torch's symbols against the torch of the tests: for every symbol that nm finds there, and for as many that nobody has.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import support
from inspect_test import command, inspect, make_wheel
from support import SOURCE

sys.path.insert(0, str(SOURCE / "data"))
import make_torch_symbols  # noqa: E402

# CUDA's error check of torch 2.6 to 2.9; since then its fourth argument is unsigned.
OLD_CHECK = "_ZN3c104cuda29c10_cuda_check_implementationEiPKcS2_ib"


def library_that_wants(folder, name, symbols):
    source = folder / f"{name}.s"
    source.write_text(".data\n" + "".join(f'.quad "{symbol}"\n' for symbol in symbols) + '.section .note.GNU-stack,"",@progbits\n')
    subprocess.run(["gcc", "-shared", "-nostdlib", source, "-o", folder / name], check=True)
    return (folder / name).read_bytes()


class TorchSymbols(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sagebuild-torch-symbols"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.site = support.torch_packages()
        libraries = [path for path in (cls.site / "torch/lib").glob("lib*.so")]
        cls.symbols = sorted(set().union(*map(make_torch_symbols.symbols_of_library, libraries)))
        version = (cls.site / "torch/version.py").read_text().partition("__version__ = '")[2]
        cls.release = version[:version.index("+")] if "+" in version.partition("'")[0] else version.partition("'")[0]
        cls.minor = cls.release.rpartition(".")[0]

    def wheel(self, symbols, name=None):
        name = name or f"wants-1.0+cu130torch{self.minor}-py3-none-linux_x86_64.whl"
        return make_wheel(self.folder, name, {"wants/libk.so": library_that_wants(self.folder, "libk.so", symbols)})

    def missing(self, wheel, *arguments, code=5):
        document = json.loads(command("--json", "verify", wheel, *arguments, code=code))
        return [(row["severity"], row["message"]) for row in document["findings"] if row["code"] == "SB136"]

    def test_what_nm_finds_in_torch_is_in_the_list(self):
        self.assertGreater(len(self.symbols), 30000)
        wheel = self.wheel(self.symbols)
        self.assertEqual(self.missing(wheel, code=0), [])
        self.assertIn(self.release, inspect(wheel)["torch_fits"])
        self.assertEqual(self.missing(wheel, "--torch", self.site, code=0), [])

    def test_what_nobody_has_is_not_in_the_list(self):
        wheel = self.wheel([symbol + "x" for symbol in self.symbols])
        for arguments in ([], ["--torch", self.site]):
            (severity, message), = self.missing(wheel, *arguments)
            self.assertEqual(severity, "error")
            self.assertIn(f" and {len(self.symbols) - 1} more", message)
        self.assertEqual(inspect(wheel)["torch_fits"], [])

    def test_a_symbol_of_older_releases_is_named_with_those(self):
        self.assertNotIn(OLD_CHECK, self.symbols)
        wheel = self.wheel([OLD_CHECK])
        self.assertEqual(self.missing(wheel), [("error", f"torch {self.minor}, which its label promises, lacks {OLD_CHECK} (c10::cuda::c10_cuda_check_implementation(int,"
                                                         " char const*, char const*, int, bool)); its symbols fit torch 2.6 to 2.9")])
        # Of a wheel that asks for no torch it is said, and no more.
        free = self.wheel([OLD_CHECK], "wants-1.0-py3-none-linux_x86_64.whl")
        self.assertEqual(self.missing(free, code=0), [])
        self.assertIn("METADATA does not ask for torch; its symbols fit torch 2.6 to 2.9", command("verify", free))
        self.assertIn("its symbols fit 2.6 to 2.9", command("inspect", free))

    def test_what_is_no_torch(self):
        wheel = self.wheel([OLD_CHECK])
        for path in (self.folder, wheel, self.folder / "not-there"):
            command("verify", wheel, "--torch", path, code=2)


if __name__ == "__main__":
    support.main()
