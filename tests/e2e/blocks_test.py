"""Every shell command of README.md and docs/*.md, run as a new user would type it, in a fresh folder with an activated environment.

`tests/packages/run.sh --blocks` (part of `make test-full`) runs it in a fresh Debian root with the packaged program.

Stand-ins: a tiny CUDA package for the default source, since its git host may not be reachable; its wheel for `x.whl`; a test Hub for
OWNER/NAME; the tests' torch for that of the environment; an nvidia-smi that tells of an RTX 4090. A command that fails, or one that RULES expects to fail and does not, fails
the test. What cannot run has its reason in RULES, and a rule that fits nothing fails too. The table at the end says what was run.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import support

sys.path.insert(0, str(support.SOURCE / "tests" / "hub"))
import program

# A pattern, and what becomes of a command that it fits: a reason not to run it, or the exit codes that are right. The first one counts.
RULES = [
    (r"^docker |^mkdir -p out", "a container engine; `make test-docker` runs the image"),
    (r"^apt install|^uv tool install|^tar xzf", "the packages that `make package` makes; `make test-packages` installs them"),
    (r"--rebuild", "builds the source of the wheel again, from where its provenance says; tests/e2e/reproducible_test.py does it"),
    (r"sagebuild wheel ", "makes another wheel of one that the reader has"),
    (r"verify x\.whl --import", "makes an environment with torch, 2.8 GB; tests/e2e/import_test.py does it with the tests' own"),
    (r"verify x\.whl --gpu", "wants a GPU; tests/e2e/gpu_check_test.py does what can be done without one"),
    (r"^git clone URL_OF_THIS_REPOSITORY", "the address of a repository that is yours to fill in"),
    (r"^make |^cmake --preset",
     "builds or tests sagebuild itself, which CI does from a clean checkout"),
    (r"sagebuild env create|--torch 2\.11\.0", "fetches 2.8 GB; `make demo` does it"),
    (r"--python 3\.13", "fetches a torch for that Python, 2.8 GB"),
    (r"--cuda-home /usr/local/cuda-12\.8", "wants a CUDA 12.8 toolkit, which no package has"),
    (r"--source https://|--ref v", "a public git host, which tests do not need"),
    (r"sageattention\._qattn_sm89", "wants SageAttention installed, which takes a quarter of an hour of CPU time"),
    (r"--torch 2\.8\.0", {3}),  # says that CUDA 12 has no compiler here
    (r"^sagebuild doctor", {0, 3}),  # 3 where the network is not there
    (r"hub (?:rm|mv)", "removes or moves what another command published; tests/hub has them"),
    (r"my\.toml", "a recipe of the reader's own; tests/patch has such"),
    (r'verify x\.whl --arch "8\.0', {5}),  # the stand-in has code for 8.9 alone
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands_of(text):
    """Of each block its commands; a line that ends in a backslash goes on, comments and blank lines are left out."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*", "", line).strip()
            if command and not command.startswith("#"):
                yield command


def rule_for(command):
    return next((rule for rule in RULES if re.search(rule[0], command)), None)


class Blocks(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.project = support.tiny_package(self.world / "tiny")
        self.work = self.world / "work"
        self.work.mkdir()
        self.folder_of_programs()
        built = self.build(self.project, arch="8.9")
        self.assertEqual(built.code, 0, built)
        shutil.copy(next(self.out.glob("*.whl")), self.work)
        self.wheel = next(self.work.glob("*.whl")).name
        shutil.copy(support.SOURCE / "tests/patch/shapes/v2_2_0.py", self.work / "setup.py")
        self.environment |= support.environment_with_torch(self.work / ".venv")
        self.environment |= {"SAGEBUILD_SOURCE": str(self.project), "SAGEBUILD_FORCE": "1",
                             "PATH": f"{self.world / 'bin'}:{self.environment['PATH']}"}

    def folder_of_programs(self):
        (self.world / "bin").mkdir()
        (self.world / "bin" / "sagebuild").symlink_to(support.BINARY)
        (self.world / "bin" / "nvidia-smi").write_text("#!/bin/sh\necho 8.9\n")
        (self.world / "bin" / "nvidia-smi").chmod(0o755)

    def run_command(self, command, address):
        script = command.replace("x.whl", self.wheel).replace("OWNER/NAME", "user/wheels")
        # Other architectures cost time and show nothing more; the list itself is still read.
        script = re.sub(r'--arch "8\.[069] [^"]*"', "--arch 8.9", script) if " build " in script else script
        folder = self.project if "--source ." in script else self.work
        return subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=support.LIMIT,
                              env={**self.environment, "HF_ENDPOINT": address["hub"], "HF_TOKEN": program.TOKEN})

    def test_all(self):
        used, table, wrong = set(), [], []
        with program.test_hub() as address:
            program.call(address, do="reset")
            program.call(address, do="create", name=program.REPO)
            for document in [support.SOURCE / "README.md", *sorted((support.SOURCE / "docs").glob("*.md"))]:
                ran, left = 0, []
                for command in commands_of(document.read_text()):
                    rule = rule_for(command)
                    used.add(rule[0] if rule else None)
                    if rule and isinstance(rule[1], str):
                        left.append(f"    not run: {command}: {rule[1]}")
                        continue
                    done = self.run_command(command, address)
                    ran += 1
                    if done.returncode not in (rule[1] if rule else {0}):
                        wrong.append(f"{document.name}: {command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
                if ran or left:
                    table.append("\n".join([f"{document.name}: {ran} run, {len(left)} not", *left]))
        print("", *table, sep="\n", file=sys.stderr)
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertEqual([rule[0] for rule in RULES if rule[0] not in used], [], "rules that fit no command")


class Rules(unittest.TestCase):
    def test_lines(self):
        self.assertEqual(list(commands_of("```sh\n# no\na \\\n  b   # why\n\nc\n```\n```\nd\n```\n")), ["a    b", "c"])


if __name__ == "__main__":
    support.main()
