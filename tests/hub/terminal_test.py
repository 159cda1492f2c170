"""The line of an upload's progress on terminals of 80 and 40 columns, what a pipe gets in its place, and what `hub rm` asks.

The recorded run of each width is printed, so that a change of the line can be looked at.
"""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import tempfile
import termios
import unittest

import program

LONG = "sageattention-2.2.0+cu130torch2.11-cp311-cp311-manylinux_2_34_x86_64.whl"
NAMES = [LONG, LONG.replace("cp311", "cp312"), LONG.replace("cp311", "cp313")]
SIZES = [400_000, 700_000, 900_000]
LIMIT = 120
FIGURES = re.compile(r"(\d+)% (\d+(?:\.\d)?(?: [kM]?B)?)/(\d+(?:\.\d)? [kM]B)(?: (\d+(?:\.\d)? [kM]?B/s))?(?: ((?:\d+m)?\d+s))?")


def screens(output):
    """What stood on the live line, one after another."""
    return [part.split("\x1b[K")[0] for part in output.split("\r") if "\x1b[K" in part and part.split("\x1b[K")[0]]


class Progress(unittest.TestCase):
    def run_upload(self, columns=None, terminal_kind="xterm"):
        with tempfile.TemporaryDirectory() as home, program.test_hub() as address:
            program.call(address, do="reset", multipart_from=500_000, chunk_size=200_000)
            program.call(address, do="create", name=program.REPO)
            wheels = [str(program.make_wheel(home, name, size)) for name, size in zip(NAMES, SIZES)]
            # Slow enough to be seen: each of the four bodies at a time is read at 70 kB/s.
            program.call(address, do="faults", faults=[
                {"endpoint": "part", "phase": "during", "action": "trickle", "rate": 70_000, "count": -1}])
            command = [program.BINARY, "upload", "--repo", program.REPO, *wheels]
            environment = program.environment(address, home) | {"TERM": terminal_kind}
            if columns is None:
                done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
                return done.returncode, done.stdout, done.stderr
            terminal, end = pty.openpty()
            fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=end, text=True)
            os.close(end)
            output = b""
            while True:
                try:
                    piece = os.read(terminal, 1 << 16)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                output += piece
            os.close(terminal)
            stdout = process.stdout.read()
            process.stdout.close()
            return process.wait(LIMIT), stdout, output.decode()

    def check_lines(self, columns):
        code, stdout, output = self.run_upload(columns)
        self.assertEqual(code, 0, output)
        lines = screens(output)
        print(f"--- {columns} columns, {len(lines)} frames")
        for line in lines[:: max(1, len(lines) // 12)]:
            print(line)
        for line in lines:
            self.assertLess(len(line), columns, line)
        sending = [line for line in lines if line.startswith("sending")]
        self.assertGreaterEqual(len(sending), 5, lines)
        before = 0
        for line in sending:
            figures = FIGURES.search(line)
            self.assertTrue(figures, f"the figures of {line!r} are not whole")
            self.assertGreaterEqual(int(figures[1]), before, "one bar over all files goes forward")
            before = int(figures[1])
            self.assertEqual(figures[3], "2.0 MB")
            rest = line[figures.end():].strip()
            self.assertIn(rest, ("", "left", "stalled"), line)
        self.assertTrue(any(FIGURES.search(line)[4] and FIGURES.search(line)[5] for line in sending), "rate and time left")
        self.assertEqual(before, 100)
        stages = [line.split()[0] for line in lines]
        self.assertEqual(stages[0], "hashing")
        self.assertEqual(set(stages), {"hashing", "sending", "completing", "checking"})
        return sending

    def test_80_columns_hold_the_file_the_bar_and_all_figures(self):
        for line in self.check_lines(80):
            self.assertRegex(line, r"^sending \d/3 sagea\S*\.\.\.\S*whl \[#*-*\] ")

    def test_40_columns_hold_all_figures(self):
        for line in self.check_lines(40):
            self.assertTrue(line.startswith("sending "), line)

    def test_a_terminal_that_knows_no_codes_gets_what_a_pipe_gets(self):
        code, stdout, output = self.run_upload(80, "dumb")
        self.assertEqual(code, 0, output)
        self.assertNotIn("\x1b", output)
        self.assertEqual(output.count("sent '"), len(NAMES))

    def test_a_pipe_gets_a_line_per_file_and_no_terminal_codes(self):
        code, stdout, output = self.run_upload()
        print("--- a pipe\n" + output)
        self.assertEqual(code, 0, output)
        self.assertNotIn("\x1b", output)
        self.assertNotIn("\r", output)
        lines = [line.strip() for line in output.splitlines() if line.strip().startswith("[")]
        self.assertEqual([line.split("]")[0] for line in lines], ["[1/3", "[2/3", "[3/3"])
        for line, name in zip(lines, NAMES):
            self.assertIn(f"sent '{name}'", line)

    def test_output_that_cannot_be_written_is_an_error_that_says_that_the_wheel_is_published(self):
        with tempfile.TemporaryDirectory() as home, program.test_hub() as address, open("/dev/full", "w") as full:
            program.call(address, do="reset")
            program.call(address, do="create", name=program.REPO)
            wheel = program.make_wheel(home, LONG, 1000)
            done = subprocess.run([program.BINARY, "upload", "--repo", program.REPO, str(wheel)], stdout=full,
                                  env=program.environment(address, home), stderr=subprocess.PIPE, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 1)
            self.assertIn("what the command does is done", done.stderr)
            files = program.call(address, do="state")["repos"]["model/" + program.REPO]["refs"]["main"]["files"]
            self.assertIn(LONG, files)


class Question(unittest.TestCase):
    def remove(self, answer):
        """Answers the question of `hub rm` at a terminal; gives the exit status and whether the wheel is still there."""
        with tempfile.TemporaryDirectory() as home, program.test_hub() as address:
            program.call(address, do="reset")
            program.call(address, do="create", name=program.REPO)
            program.call(address, do="commit", name=program.REPO, files={"a-1.0-py3-none-any.whl": "a wheel"})
            terminal, end = pty.openpty()
            process = subprocess.Popen([program.BINARY, "hub", "rm", "--repo", program.REPO, "a-*"], stdin=end, stderr=end,
                                       stdout=subprocess.DEVNULL, env=program.environment(address, home))
            os.close(end)
            shown = b""
            while b"remove? [y/N]" not in shown:
                shown += os.read(terminal, 1 << 16)
            self.assertIn(b"a-1.0-py3-none-any.whl", shown)
            if isinstance(answer, signal.Signals):
                process.send_signal(answer)
            else:
                os.write(terminal, answer)
            status = process.wait(LIMIT)
            os.close(terminal)
            files = program.call(address, do="state")["repos"]["model/" + program.REPO]["refs"]["main"]["files"]
            return status, "a-1.0-py3-none-any.whl" in files

    def test_only_a_yes_removes(self):
        self.assertEqual(self.remove(b"y\n"), (0, False))
        for answer in (b"n\n", b"\n", b"\x04", b"maybe\n"):
            self.assertEqual(self.remove(answer), (1, True), answer)
        self.assertEqual(self.remove(signal.SIGINT), (-signal.SIGINT, True))

    def test_what_is_removed_is_in_the_document_and_names_reach_no_terminal_raw(self):
        with tempfile.TemporaryDirectory() as home, program.test_hub() as address:
            program.call(address, do="reset")
            program.call(address, do="create", name=program.REPO)
            names = ["a\x1b[31m.txt", "b.txt"]
            program.call(address, do="commit", name=program.REPO, files=dict.fromkeys(names, "x"))
            command = [program.BINARY, "hub", "rm", "--repo", program.REPO, "--dry-run", *names]
            said = [subprocess.run(command + more, env=program.environment(address, home), capture_output=True, timeout=LIMIT).stdout
                    for more in ([], ["--json"])]
            self.assertIn(b"would be done: removed: a", said[0])
            self.assertNotIn(b"\x1b", said[0])
            self.assertEqual(json.loads(said[1])["removed"], names)


if __name__ == "__main__":
    unittest.main()
