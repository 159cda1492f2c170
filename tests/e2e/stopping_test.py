"""Compile errors, actions that are killed, signals at each stage, and two builds at once: children end, nothing half-written stays."""

import contextlib
import os
import pathlib
import select
import signal
import socket
import time

import support

BLOCKED_SETUP = """\
import pathlib, time
pathlib.Path({marker!r}).touch()
time.sleep(1000)
"""


def gated_package(world):
    """The tiny package, whose kernel's compile waits at the gate."""
    gate = support.Gate(world)
    kernel = (support.SOURCE / "tests/e2e/packages/tiny/csrc/kernel.cu").read_text()
    return gate, support.tiny_package(world / "tiny", kernel=gate.include() + kernel)


class Interrupt(support.EndToEnd):
    def assert_stops(self, running, number, again_after=None):
        """again_after: seconds to a second signal, which may find the clean-up under way or done."""
        self.assertGreater(len(running.members()), 0)
        running.process.send_signal(number)
        if again_after is not None:
            time.sleep(again_after)
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
        for seconds in (0, 0.002, 0.02):
            with self.subTest(again_after=seconds):
                folder = self.world / f"gate-{seconds}"
                folder.mkdir()
                gate = support.Gate(folder)
                package = support.tiny_package(folder / "tiny", kernel=gate.include())
                running = self.start(*self.build_arguments(package))
                gate.reached(running)
                self.assert_stops(running, signal.SIGINT, again_after=seconds)


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
                # Those of one step end together, so the first that dies may take the next.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    kills += 1
            gate.close()
        outcome = running.finish(60)
        self.assert_fails(outcome, 1, "kernel.cu", "memory")
        self.assertGreaterEqual(kills, 2, "it was not tried again")
        self.assertEqual(running.members(), [])
        self.assert_nothing_left()


class Logs(support.EndToEnd):
    def logs(self):
        return sorted((self.world / "cache/sagebuild/logs").glob("*/*"))

    def log_of(self, outcome):
        """The file that the last line of standard error names: the error's."""
        line = outcome.stderr.splitlines()[-1]
        self.assertTrue(line.startswith("log: "), outcome)
        return pathlib.Path(line.removeprefix("log: "))

    def test_other_runs_do_not_take_those_of_a_living_one(self):
        gate, package = gated_package(self.world)
        running = self.start(*self.build_arguments(package))
        gate.reached(running)
        mine = self.logs()
        for _ in range(25):
            self.assertEqual(self.run_sagebuild("build", "--source", "/no/such/folder").code, 2)
        self.assertLess(set(mine), set(self.logs()))
        self.assertEqual(len({log.parent for log in self.logs()}), 20)
        gate.open()
        outcome = running.finish()
        self.assertEqual(outcome.code, 0, outcome)

    def test_plan_leaves_none(self):
        package = support.tiny_package(self.world / "tiny")
        outcome = self.run_sagebuild("plan", "--source", package, "--arch", "8.9", "--python", support.torch_python())
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(self.logs(), [])

    def test_of_a_setup_py_that_failed(self):
        setup = "print('what setup.py said first')\n" + "raise SystemExit('it does not like this machine')\n"
        package = support.tiny_package(self.world / "tiny", setup=setup)
        for command in ("build", "plan"):
            with self.subTest(command=command):
                outcome = self.run_sagebuild(command, *self.build_arguments(package)[1:])
                self.assert_fails(outcome, 1, "setup.py of the project failed")
                log = self.log_of(outcome)
                self.assertEqual(log.name, "setup.log")
                self.assertIn("what setup.py said first", log.read_text())
                self.assertIn("error: setup.py of the project failed", (log.parent / "run.log").read_text())

    def test_of_a_compile_that_failed(self):
        package = support.tiny_package(self.world / "tiny", kernel="int mistake = no_such_name;\n")
        outcome = self.build(package)
        self.assert_fails(outcome, 1, "no_such_name")
        log = self.log_of(outcome)
        self.assertIn("no_such_name", log.read_text())
        text = (log.parent / "run.log").read_text()
        self.assertIn("error: a step of the build failed", text)
        self.assertIn("caused by: ", text)
        for line in outcome.stderr.splitlines():
            if line.strip().startswith("log: "):
                self.assertTrue(pathlib.Path(line.strip().removeprefix("log: ")).exists(), line)

    def test_none_is_named_where_none_can_be_kept(self):
        home = self.world / "home"
        home.chmod(0o555)
        self.addCleanup(home.chmod, 0o755)
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        package = support.tiny_package(self.world / "tiny", kernel="int mistake = no_such_name;\n")
        outcome = self.build(package, prefix=prefix, XDG_CACHE_HOME="")
        self.assert_fails(outcome, 1, "no_such_name")
        self.assertNotIn("log: /", outcome.stderr, outcome)


class TwoAtOnce(support.EndToEnd):
    def test_same_source_same_output(self):
        """The second waits and says so, or works beside the first. Both succeed, and one wheel is there."""
        gate, package = gated_package(self.world)
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
