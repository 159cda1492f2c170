"""What a run in CI says: annotations, groups and the job's summary on GitHub, plain lines everywhere."""

import os
import pty
import re
import subprocess
import textwrap

import support

SETUP = """
    from setuptools import find_packages, setup
    from torch.utils.cpp_extension import BuildExtension, CUDAExtension

    {line}
    setup(name="tiny", version="1.0", packages=find_packages(),
          ext_modules=[CUDAExtension("tiny._kernel", ["csrc/binding.cpp", "csrc/kernel.cu"])],
          cmdclass={{"build_ext": BuildExtension}})
    """
KERNEL = (support.SOURCE / "tests/e2e/packages/tiny/csrc/kernel.cu").read_text()


class Github(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.summary = self.world / "summary.md"
        self.environment |= {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(self.summary)}

    def commands(self, outcome):
        """The workflow commands that GitHub would see, in order; those between stop-commands and its token are text."""
        token, found = None, []
        for line in outcome.stderr.splitlines():
            if token:
                token = None if line == f"::{token}::" else token
            elif line.startswith("::stop-commands::"):
                token = line.removeprefix("::stop-commands::")
            elif line.lstrip().startswith("::") or "##[" in line:
                found.append(line)
        self.assertIsNone(token, outcome)
        return found

    def test_a_build_and_its_verification(self):
        outcome = self.build(support.tiny_package(self.world / "tiny"), HF_TOKEN="hf_" + "q" * 30)
        self.assertEqual(outcome.code, 0, outcome)
        wheel, = self.out.glob("*.whl")
        self.assertEqual(outcome.stdout, f"{wheel}\n")
        self.assertNotRegex(outcome.stderr, "[\x1b\r]")
        commands = self.commands(outcome)
        group, end = [word for word in commands if not word.startswith("::warning::")]
        self.assertRegex(group, r"^::group::compiling 1 module on \d+ cores?$")
        self.assertEqual(end, "::endgroup::")
        self.assertTrue(any("no recipe fits" in word for word in commands), outcome)
        lines = outcome.stderr.splitlines()
        folded = lines[lines.index(group):lines.index(end)]
        self.assertIn("[3/3] module tiny._kernel", " ".join(folded))
        text = self.summary.read_text()
        for part in (f"### {wheel.name}\n", "| module | size | sm_89 |", "| _kernel | ", "| 8.9 (RTX 40, L4, L40S) | yes |",
                     "found nothing wrong", f"pip install {wheel}", " steps, 0 from the cache"):
            self.assertIn(part, text)
        self.assertNotIn("hf_q", text + outcome.stderr)

        self.summary.unlink()
        outcome = self.run_sagebuild("verify", wheel, "--arch", "8.9 9.0")
        self.assertEqual(outcome.code, 5, outcome)
        errors = self.commands(outcome)
        self.assertTrue(errors[0].startswith("::error title=SB101 "), errors)
        self.assertIn(f"file={wheel}::", errors[0])
        self.assertIn("| error SB101 | ", self.summary.read_text())

    def test_a_compile_error_is_told_at_its_line(self):
        broken = KERNEL.replace("__global__", "int x = nope;\n__global__", 1)
        source = support.tiny_package(self.world / "tiny", kernel=broken)
        outcome = self.run_sagebuild("-C", source, *self.build_arguments("."), GITHUB_WORKSPACE=str(self.world))
        self.assertEqual(outcome.code, 1, outcome)
        failed, ended = [word for word in self.commands(outcome) if word.startswith("::error")]
        self.assertRegex(failed, r"^::error title=failed%3A nvcc _kernel kernel.cu,file=tiny/csrc/kernel.cu,line=3::")
        self.assertIn('identifier "nope"', failed)
        self.assertTrue(ended.startswith("::error title=sagebuild%3A exit code 1::"), ended)
        self.assertIn("exit code 1", self.summary.read_text())

    def test_what_setup_py_prints_is_no_command(self):
        line = 'print("::error::injected\\n##[warning]injected"); raise SystemExit("::add-mask::injected")'
        source = support.tiny_package(self.world / "tiny", setup=textwrap.dedent(SETUP).format(line=line))
        outcome = self.build(source, "-v")
        self.assertEqual(outcome.code, 1, outcome)
        self.assertIn("injected", outcome.stderr)
        for command in self.commands(outcome):
            self.assertRegex(command, "^::(error|warning|group|endgroup)")
            self.assertFalse(command.startswith("::error::injected") or "##[" in command.split("::", 3)[1], command)

    def test_a_summary_that_cannot_be_written_ends_nothing(self):
        shelf = self.world / "none.whl"
        outcome = self.run_sagebuild("verify", shelf, GITHUB_STEP_SUMMARY="/no/such/folder/x")
        self.assertEqual(outcome.code, 2, outcome)
        self.assertIn("cannot write the job's summary to '/no/such/folder/x'", outcome.stderr)

    def test_a_terminal_in_ci_gets_plain_lines(self):
        """`docker run -t` in a job: neither colour nor a line that overwrites itself."""
        for value, plain in (("true", True), ("false", False)):
            terminal, end = pty.openpty()
            process = subprocess.Popen([support.BINARY, "plan", "--source", "/no/such"], stdin=subprocess.DEVNULL, stdout=end, stderr=end,
                                       env={**self.environment, "CI": value, "TERM": "xterm", "GITHUB_ACTIONS": "",
                                            "SAGEBUILD_NONE": "1"})
            os.close(end)
            output = b""
            while piece := self.read(terminal):
                output += piece
            self.assertEqual(process.wait(support.LIMIT), 2)
            self.assertEqual(b"\x1b[33mwarning" not in output, plain, output)

    @staticmethod
    def read(terminal):
        try:
            return os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            return b""


if __name__ == "__main__":
    support.main()
