"""`sagebuild env create` makes the torch environment that the other end-to-end tests build with; a second call finds it."""

import os
import pathlib
import shutil
import subprocess

import support


class Environment(support.EndToEnd):
    def setUp(self):
        super().setUp()
        support.CACHE.mkdir(parents=True, exist_ok=True)
        self.environment["SAGEBUILD_CACHE_DIR"] = str(support.CACHE / "sagebuild")
        # The user's own packages: what `make demo` has fetched is not fetched again.
        if shutil.which("uv"):
            told = subprocess.run(["uv", "cache", "dir"], check=True, capture_output=True, text=True)
            self.environment["UV_CACHE_DIR"] = told.stdout.strip()

    @support.require("SAGEBUILD_TEST_PYTHON" not in os.environ, "a Python with torch is given")
    def test_create_then_find(self):
        first = self.run_sagebuild("env", "create", "--torch", "2.11.0")
        self.assertEqual(first.code, 0, first)
        python = pathlib.Path(first.stdout.strip()) / "bin" / "python"
        self.assertTrue(python.exists(), first)
        again = self.run_sagebuild("env", "create", "--torch", "2.11.0")
        self.assertEqual(again.stdout, first.stdout)
        (support.CACHE / "torch-python").write_text(f"{python}\n")

    def test_the_environment_has_torch_and_nvcc(self):
        program = "import torch; print(torch.version.cuda)"
        found = subprocess.run([support.torch_python(), "-c", program], capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, found.stderr)
        self.assertTrue(found.stdout.startswith("13."), found.stdout)
        if "SAGEBUILD_TEST_PYTHON" not in os.environ:  # a given one may go with an installed toolkit
            self.assertTrue((support.torch_packages() / "nvidia" / "cu13" / "bin" / "nvcc").exists())


if __name__ == "__main__":
    support.main()
