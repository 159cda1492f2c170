"""A bare `sagebuild build` in somebody's activated environment: what it finds, says and, with --install, puts there."""

import os
import re
import subprocess

import support


class Install(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.source = support.tiny_package(self.world / "tiny")
        self.environment |= support.environment_with_torch(self.world / "my env")
        self.environment["SAGEBUILD_SOURCE"] = str(self.source)  # that of the recipe is on a public host

    def gpu(self, capability):
        (self.world / "bin").mkdir(exist_ok=True)
        (self.world / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\necho {capability}\n")
        (self.world / "bin" / "nvidia-smi").chmod(0o755)
        if not self.environment["PATH"].startswith(str(self.world / "bin")):
            self.environment["PATH"] = f"{self.world}/bin:{self.environment['PATH']}"

    def python(self, program):
        return subprocess.run([self.world / "my env/bin/python", "-c", program], cwd=self.world / "home", capture_output=True, text=True)

    def test_what_cannot_be_installed_is_told_before_the_build(self):
        packages, = (self.world / "my env").glob("lib/python3*/site-packages")
        (packages / "pip").mkdir()  # one that does not run, in the way of what the tests' environment may have
        (packages / "pip" / "__init__.py").write_text("")
        folders = [folder for folder in self.environment["PATH"].split(":") if not os.path.exists(f"{folder}/uv")]
        outcome = self.run_sagebuild("build", "--arch", "8.9", "--install", PATH=":".join(folders))
        self.assert_fails(outcome, 3, "neither uv nor pip is there to install the wheel", "-m ensurepip, or install uv")
        self.assertNotIn("fetching", outcome.stderr)
        # One that does not fit is passed over, and the wheel would be for another.
        outcome = self.run_sagebuild("build", "--arch", "8.9", "--install", "--torch", "2.10.0")
        self.assert_fails(outcome, 2, "--install has no environment", "an environment that sagebuild makes")
        self.assertNotIn("fetching", outcome.stderr)

    def test_it_says_what_it_found_and_how_to_install_it(self):
        self.gpu("8.9")
        outcome = self.run_sagebuild("build")
        self.assertEqual(outcome.code, 0, outcome)
        for line in (rf"^python 3\S+ \('{self.world}/my env/bin/python'\), torch 2\S+, CUDA \S+ \(.*\)$", rf"^fetching {self.source}$",
                     r"^  architectures 8\.9 \(from the GPU of this machine\)$"):
            self.assertRegex(outcome.stderr, re.compile(line, re.MULTILINE))
        last = outcome.stderr.splitlines()[-1]
        self.assertEqual(last, f"to install it: '{self.world}/my env/bin/python' -m pip install --force-reinstall --no-deps {outcome.stdout.strip()}")
        self.assertNotEqual(self.python("import tiny").returncode, 0, "nobody asked for it")

        outcome = self.run_sagebuild("build", "--install")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcome.stderr.splitlines()[-1], f"installed for '{self.world}/my env/bin/python'")
        self.assertEqual(self.python("import torch, tiny._kernel; print(torch.__version__[:4])").stdout, "2.11\n")

        # The same version for another GPU takes its place.
        self.gpu("12.0")
        self.assertEqual(self.run_sagebuild("build", "--install", "--force").code, 0)
        found = self.python("import tiny._kernel as it; print(it.__file__)").stdout.strip()
        self.assertIn("sm_120", self.run_sagebuild("inspect", found).stdout)


if __name__ == "__main__":
    support.main()
