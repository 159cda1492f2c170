"""A test case that cannot run here is counted by `make test`: planted ones, in C++ and Python. usage: skips_test.py TEST_BASE"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TEST_BASE = sys.argv.pop()
PLANTED = """
import unittest
import skips
class Planted(unittest.TestCase):
    def test_planted(self):
        self.skipTest("no reason")
    def test_that_runs(self):
        pass
skips.run_tests()
"""


class Skips(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = pathlib.Path(made.name)

    def run_tests(self, ctest):
        """What run-tests.sh says at its end, with a script in ctest's place."""
        program = self.folder / "ctest"
        program.write_text(f"#!/bin/bash\n{ctest}\n")
        program.chmod(0o755)
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "PYTHONPATH": str(HERE)}
        return subprocess.run([HERE / "run-tests.sh", self.folder], env=environment, capture_output=True, text=True)

    def test_planted_skips_are_counted(self):
        done = self.run_tests(f'{TEST_BASE} "[.planted]"; {sys.executable} -c \'{PLANTED}\'')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[-3:], [
            "test cases skipped: 2", "  a test case that cannot run here: planted", "  __main__.Planted.test_planted: no reason"])

    def test_none_is_said_too_and_failures_stay(self):
        self.run_tests(f'{TEST_BASE} "[.planted]"')  # of an earlier run
        done = self.run_tests("exit 8")
        self.assertEqual(done.returncode, 8)
        self.assertEqual(done.stdout.splitlines()[-1], "test cases skipped: 0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
