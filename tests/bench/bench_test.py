"""The parts of bench/run that need no compiler: what is measured, what is compared with what, what the table says."""

import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.dont_write_bytecode = True
sys.path.insert(0, str(BENCH))
sys.path.insert(0, str(BENCH.parent / "tests" / "support"))
import cases
import measure
import skips

loader = importlib.machinery.SourceFileLoader("bench_run", str(BENCH / "run"))
run = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
loader.exec_module(run)

# A child and a grandchild: each takes 0.15 s of CPU, the grandchild holds 50 MB until it was seen.
EATER = """
import subprocess, sys, time
def spin():
    end = time.process_time() + 0.15
    while time.process_time() < end: pass
spin()
subprocess.run([sys.executable, "-c", '''
import time
kept = b"x" * (50 << 20)
end = time.process_time() + 0.15
while time.process_time() < end: pass
time.sleep(0.5)
'''], check=True)
"""
FACTS = {name: name for name in run.SAME} | {"program_sha256": "1"}


def row(wall=1.0, cpu=2.0, peak=2**30, **more):
    return {"wall_s": wall, "cpu_s": cpu, "peak_bytes": peak, **more}


def done(*rounds):
    return {"rounds": list(rounds), "state": "done", "reason": ""}


class Measuring(unittest.TestCase):
    def check(self, meter):
        with meter:
            self.assertEqual(meter.run([sys.executable, "-c", EATER], None), 0)
        self.assertGreaterEqual(meter.cost.cpu_s, 0.29)
        self.assertLess(meter.cost.cpu_s, 5)
        self.assertGreaterEqual(meter.cost.wall_s, 0.7)
        self.assertGreaterEqual(meter.cost.peak_bytes, 50 << 20)
        self.assertLess(meter.cost.peak_bytes, 300 << 20)

    def test_by_rusage(self):
        self.check(measure.Meter(cgroup=False))

    def test_by_cgroup(self):
        meter = measure.Meter()
        if meter.group is None:
            self.skipTest("no control group may be made here")
        self.check(meter)
        self.assertEqual(meter.cost.cpu_from, "cgroup")
        self.assertFalse(meter.group.folder.exists())

    def test_a_helper_counts_too_and_none_is_left(self):
        for use_cgroup in (False, True):
            reading, writing = os.pipe()
            with self.assertRaises(KeyError), measure.Meter(use_cgroup) as meter, open(reading) as told, open(writing, "w") as log:
                helper = meter.start(["sh", "-c", "echo up; exec sleep 1000"], log)
                self.assertEqual(told.readline(), "up\n")
                self.assertIn(helper.pid, list(meter.members()))
                raise KeyError
            self.assertEqual(helper.returncode, -9)

    def test_exit_status(self):
        with measure.Meter() as meter:
            self.assertEqual(meter.run(["false"], None), 1)


class Comparing(unittest.TestCase):
    def test_results_are_merged_only_on_equal_ground(self):
        results = {"U": done(row()), "cold": done(row())}
        old = {"facts": FACTS, "results": results}
        self.assertEqual(run.merged(None, FACTS), {})
        self.assertEqual(run.merged(old, FACTS), results)
        for name in run.SAME:
            self.assertEqual(run.merged(old, FACTS | {name: "other"}), {}, name)
        self.assertEqual(list(run.merged(old, FACTS | {"program_sha256": "2"})), ["U"])

    def test_shares_and_targets(self):
        results = {"U": done(row(100, 1000, 10 * 2**30)), "cold": done(row(28, 290, 3 * 2**30)), "warm": done(row(1.4))}
        verdicts = [run.judge(results, "cold", goal)[1:] for goal in run.goals("cold", 2)]
        self.assertEqual(verdicts, [("0.290", "no"), ("0.280", "yes"), ("0.300", "yes")])
        self.assertEqual(run.goals("cold", 16)[1][1], 0.26)
        self.assertEqual(run.judge(results, "warm", ("wall_s", 1.5, None))[1:], ("1.400", "yes"))

    def test_no_number_without_both(self):
        for results in ({}, {"cold": done(row())}, {"U": done(row())}):
            self.assertEqual(run.judge(results, "cold", ("cpu_s", 0.28, "U"))[1:], ("", "not measured"))
        self.assertEqual(run.judge({}, "plus-arch", ("kinds_ran", run.HOST_KINDS, None))[1:], ("", "not measured"))

    def test_kinds_that_must_not_run(self):
        goal = ("kinds_ran", run.DEVICE_KINDS, None)
        for kinds, verdict in (({"host compile": 3, "device preprocess": 1}, "yes"), ({"cicc": 1}, "no")):
            self.assertEqual(run.judge({"x": done(row(kinds_ran=kinds))}, "x", goal)[2], verdict)

    def test_rounds_give_the_median(self):
        results = {}
        for wall in (3, 1, 50):
            run.add_round(results, "U", row(wall))
        self.assertEqual(run.number(results, "U", "wall_s"), 3)

    def test_a_failure_is_no_number(self):
        results = {}
        run.add_reason(results, "cold", "failed", "exit 1; log: x.log")
        self.assertIsNone(run.number(results, "cold", "wall_s"))
        line = run.table(results, 2).splitlines()[1]
        self.assertEqual(line.split(), ["cold", "failed", "exit", "1;", "log:", "x.log"])
        run.add_round(results, "cold", row())
        run.add_reason(results, "cold", "failed", "exit 2")
        self.assertIn("a later round failed: exit 2", run.table(results, 2))

    def test_table(self):
        results = {"U": done(row(100)), "warm": done(row(1, steps_ran=0, steps_cached=7, kinds_ran={}))}
        text = run.table(results, 2)
        self.assertRegex(text, r"(?m)^warm +1\.00 \(0\.010\) .* 0/7 ")
        self.assertRegex(text, r"(?m)^warm +wall at most 1\.5 s +1\.000 +yes$")
        self.assertIn("warm ran: nothing", text)


class Ordering(unittest.TestCase):
    def test_order_alternates(self):
        self.assertEqual(run.order(["U", "cold", "warm"], 2), ["U", "cold", "cold", "U", "warm"])

    def test_what_needs_a_cache_gets_one(self):
        self.assertEqual(run.order(["warm"], 1), ["cold", "warm"])
        self.assertEqual(run.order(["S-warm"], 1), ["S-cold", "S-warm"])
        self.assertEqual(run.order(["remote"], 1), ["remote"])


class Sources(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def git(self, *arguments):
        subprocess.run(["git", "-C", self.folder / "project", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments],
                       check=True, capture_output=True)

    def test_a_commit_is_exported_and_blobs_may_lack(self):
        project = self.folder / "project"
        project.mkdir()
        self.git("init", "-q", "-b", "main")
        (project / "é.cu").write_text("one")
        (project / "picture.png").write_text("picture")
        self.git("add", "-A")
        self.git("commit", "-qm", "one")
        blob = subprocess.run(["git", "hash-object", "picture.png"], cwd=project, capture_output=True, text=True).stdout.strip()
        (project / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
        (project / "é.cu").write_text("not committed")
        commit = cases.resolve_source(project / ".git", "main")
        self.assertEqual(len(commit), 40)
        cases.export_tree(project / ".git", commit, self.folder / "out")
        self.assertEqual([path.name for path in (self.folder / "out").iterdir()], ["é.cu"])
        self.assertEqual((self.folder / "out" / "é.cu").read_text(), "one")

    def test_a_folder_is_known_by_its_content(self):
        (self.folder / "a").write_text("1")
        first = cases.resolve_source(self.folder, "main")
        self.assertRegex(first, "^folder [0-9a-f]{12}$")
        (self.folder / "a").write_text("2")
        self.assertNotEqual(cases.resolve_source(self.folder, "main"), first)

    def test_minisage_is_touched_where_it_says(self):
        touch = cases.TOUCH["minisage"]
        source = cases.ROOT / "examples" / "minisage"
        self.assertEqual((source / touch["header"]).read_text().count("#pragma once\n"), 1)
        for place, header in zip(touch["kernel"], touch["kernel"][1:]):
            self.assertIn(f'#include "{pathlib.Path(header).name}"', (source / place).read_text())
        self.assertEqual((source / touch["kernel"][-1]).read_text().count(touch["line"][0]), 1)

    def test_no_wheel_is_a_failure(self):
        with self.assertRaises(cases.Failed):
            cases.check_wheel(self.folder, "8.9")


if __name__ == "__main__":
    skips.run_tests()
