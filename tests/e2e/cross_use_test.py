"""Device code made under one Python and torch serves the others of the same CUDA: examples/minisage for three environments.

The second Python is SAGEBUILD_TEST_OTHER_PYTHON, else the first on PATH or among pyenv's that has headers and another version.
Its environment and that of the second torch are made in SAGEBUILD_TEST_CACHE and kept: 5 GB each, most of it shared by links.
"""

import json
import os
import pathlib
import subprocess

import support

OTHER_TORCH = "2.13.0"  # built with CUDA 13.0 like 2.11.0
DEVICE_KINDS = {"device preprocess", "cicc", "ptxas", "ptxas check", "fatbinary"}


def facts_of(python):
    """Version, and the headers' folder if there are any."""
    program = ("import os, sys, sysconfig; i = sysconfig.get_paths()['include'];"
               "print('%d.%d' % sys.version_info[:2], os.path.exists(i + '/Python.h'))")
    found = subprocess.run([python, "-c", program], capture_output=True, text=True)
    version, _, headers = found.stdout.strip().partition(" ")
    return version, found.returncode == 0 and headers == "True"


def other_python():
    """An interpreter of another minor version than the one that has torch; None: there is none."""
    if "SAGEBUILD_TEST_OTHER_PYTHON" in os.environ:
        return os.environ["SAGEBUILD_TEST_OTHER_PYTHON"]
    taken, _ = facts_of(support.torch_python())
    versions = [version for version in ("3.12", "3.13", "3.11", "3.10") if version != taken]
    folders = [pathlib.Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += sorted(pathlib.Path.home().glob(".pyenv/versions/*/bin"))
    for version in versions:
        for folder in folders:
            python = folder / f"python{version}"
            if python.exists() and facts_of(python) == (version, True):
                return python
    return None


class CrossUse(support.EndToEnd):
    def environment_with(self, name, python, torch):
        outcome = self.start("env", "create", "--python", python, "--torch", torch, "--name", name,
                             XDG_CACHE_HOME=str(support.CACHE), HOME=os.environ["HOME"]).finish(1200)
        self.assertEqual(outcome.code, 0, outcome)
        return pathlib.Path(outcome.stdout.strip()) / "bin" / "python"

    def build_for(self, python, name):
        """The JSON answer, and the steps that ran."""
        trace = self.world / f"{name}.json"
        out = self.world / name
        outcome = self.start("build", "--source", support.SOURCE / "examples" / "minisage", "--arch", "8.9", "--python", python,
                             "--output", out, "--json", "--timeline", trace).finish(1500)
        self.assertEqual(outcome.code, 0, outcome)
        answer = json.loads(outcome.stdout)
        self.assert_imports(python, answer["wheel"], self.world / f"{name}-tree")
        bars = [event["args"] for event in json.loads(trace.read_text())["traceEvents"] if event["ph"] == "X"]
        print(f"{name}: {answer['cpu_seconds']:.1f} CPU s, {len(bars)} steps")
        return answer, [bar for bar in bars if not bar["cached"]]

    def assert_imports(self, python, wheel, tree):
        subprocess.run([python, "-m", "zipfile", "-e", wheel, tree], check=True)
        program = "import torch, minisage._fused, minisage._qattn_sm80, minisage._qattn_sm89"
        done = subprocess.run([python, "-c", program], cwd=tree, capture_output=True, text=True,
                              env={**self.environment, "LD_BIND_NOW": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)

    def assert_stand_ins_fit(self, answer):
        for source in answer["sources"]:
            self.assertEqual(source["reason"], "", source)

    def assert_no_device_step(self, ran):
        # A device preprocess is cheap and may be asked for again; what it says is the same text, so nothing behind it runs.
        self.assertEqual([bar for bar in ran if bar["kind"] in DEVICE_KINDS - {"device preprocess"}], [])

    def test_second_python_and_second_torch(self):
        first, ran = self.build_for(support.torch_python(), "first")
        self.assertTrue(any(bar["kind"] == "cicc" for bar in ran))
        self.assert_stand_ins_fit(first)

        with self.subTest("another torch of the same CUDA"):
            version, _ = facts_of(support.torch_python())
            python = self.environment_with("cross-torch", version, OTHER_TORCH)
            answer, ran = self.build_for(python, "torch")
            self.assert_stand_ins_fit(answer)
            self.assert_no_device_step(ran)
            self.assertEqual({bar["kind"] for bar in ran} & {"cudafe++", "host compile"}, set())
            self.assertIn("torch bridge", {bar["subject"] for bar in ran})

        with self.subTest("another Python with the same torch"):
            base = other_python()
            if base is None:
                self.skipTest("there is no second Python with headers")
            python = self.environment_with("cross-python", base, "2.11.0")
            answer, ran = self.build_for(python, "python")
            self.assert_stand_ins_fit(answer)
            # Nothing of a .cu file at all: the bindings, and links.
            self.assertEqual({bar["kind"] for bar in ran}, {"preprocess", "g++", "link", "strip"})


if __name__ == "__main__":
    support.main()
