"""Compile errors, actions that are killed, signals at each stage, and two builds at once: children end, nothing half-written stays."""

import os
import select
import signal
import socket

import support

BLOCKED_SETUP = """\
import pathlib, time
pathlib.Path({marker!r}).touch()
time.sleep(1000)
"""


class Interrupt(support.EndToEnd):
    def assert_stops(self, running, number):
        self.assertGreater(len(running.members()), 0)
        running.process.send_signal(number)
        outcome = running.finish(30)
        self.assertEqual(outcome.code, 128 + number, outcome)
        self.assertEqual(running.process.returncode, -number, "the signal itself must be the end, for the shell that waits")
        self.assertEqual(outcome.stdout, "", outcome)
        # Killed is not yet gone: a process that has its KILL ends when it is next scheduled.
        support.wait_for(lambda: not running.members(), running, limit=5, alive=False)
        self.assert_nothing_left()

    def test_while_fetching(self):
        """A server that takes the connection and never answers."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number), socket.create_server(("127.0.0.1", 0)) as server:
                running = self.start(*self.build_arguments(f"http://127.0.0.1:{server.getsockname()[1]}/project.git"))
                support.wait_for(lambda: select.select([server], [], [], 0)[0], running)
                connection, _ = server.accept()
                with connection:
                    self.assert_stops(running, number)

    def test_while_setup_py_runs(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                marker = self.world / f"in-setup-{number}"
                package = support.tiny_package(self.world / f"tiny-{number}", setup=BLOCKED_SETUP.format(marker=str(marker)))
                running = self.start(*self.build_arguments(package))
                support.wait_for(marker.exists, running)
                self.assert_stops(running, number)

    def test_while_compiling(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            with self.subTest(signal=number):
                folder = self.world / f"gate-{number}"
                folder.mkdir()
                gate = support.Gate(folder)
                package = support.tiny_package(folder / "tiny", kernel=gate.include() + "__global__ void kernel() {}\n")
                running = self.start(*self.build_arguments(package))
                gate.reached(running)
                self.assertGreater(len(running.members()), 1)
                self.assert_stops(running, number)

    def test_twice_while_compiling(self):
        """A second Ctrl-C during the clean-up changes nothing."""
        gate = support.Gate(self.world)
        package = support.tiny_package(self.world / "tiny", kernel=gate.include())
        running = self.start(*self.build_arguments(package))
        gate.reached(running)
        running.process.send_signal(signal.SIGINT)
        self.assert_stops(running, signal.SIGINT)


class CompileError(support.EndToEnd):
    def test_is_shown_once_with_its_file(self):
        package = support.tiny_package(self.world / "tiny", kernel="__global__ void kernel() { no_such_name = 1; }\n")
        outcome = self.build(package)
        self.assert_fails(outcome, 1, "kernel.cu")
        self.assertEqual(outcome.stderr.count('identifier "no_such_name" is undefined'), 1, outcome)
        self.assert_nothing_left()

    def test_all_errors_of_a_stage_are_shown(self):
        package = support.tiny_package(self.world / "tiny", kernel="int first_error = no_such_first;\n",
                                       binding="int second_error = no_such_second;\n")
        outcome = self.build(package, "-j", "2")
        self.assert_fails(outcome, 1, "no_such_first", "no_such_second")
        self.assert_nothing_left()

    def test_link_error(self):
        package = support.tiny_package(self.world / "tiny", kernel="__global__ void kernel() {}\n",
                                       setup=(support.SOURCE / "tests/e2e/packages/tiny/setup.py").read_text().replace(
                                           '"csrc/kernel.cu"]', '"csrc/kernel.cu"], extra_link_args=["-Wl,--no-undefined"]'))
        outcome = self.build(package)
        self.assert_fails(outcome, 1, "_kernel", "double_on_gpu")
        self.assert_nothing_left()


def ended(running):
    return running.process.poll() is not None


class Killed(support.EndToEnd):
    def test_for_memory(self):
        """What the kernel does to the largest process when memory ends: signal 9. Retried alone, then an error that says so."""
        gate = support.Gate(self.world)
        package = support.tiny_package(self.world / "tiny", kernel=gate.include())
        running = self.start(*self.build_arguments(package))
        kills = 0
        while support.wait_for(lambda: gate.read_again() or ended(running), running, alive=False) and not ended(running):
            victims = support.wait_for(lambda: support.readers_of(gate.path, running) or ended(running), running, alive=False)
            for victim in victims if isinstance(victims, list) else []:
                os.kill(victim, signal.SIGKILL)
                kills += 1
            gate.close()
        outcome = running.finish(60)
        self.assert_fails(outcome, 1, "kernel.cu", "memory")
        self.assertGreaterEqual(kills, 2, "it was not tried again")
        self.assertEqual(running.members(), [])
        self.assert_nothing_left()


class TwoAtOnce(support.EndToEnd):
    def test_same_source_same_output(self):
        """The second waits and says so, or works beside the first. Both succeed, and one wheel is there."""
        gate = support.Gate(self.world)
        package = support.tiny_package(self.world / "tiny", kernel=gate.include() + (
            support.SOURCE / "tests/e2e/packages/tiny/csrc/kernel.cu").read_text())
        first = self.start(*self.build_arguments(package))
        gate.reached(first)
        second = self.start(*self.build_arguments(package))
        support.wait_for(lambda: second.errors or second.process.poll() is not None, second)
        gate.open()
        outcomes = [first.finish(), second.finish()]
        for outcome in outcomes:
            self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(outcomes[0].stdout, outcomes[1].stdout)
        self.assertEqual(len(list(self.out.glob("*.whl"))), 1)


if __name__ == "__main__":
    support.main()
