"""A cache that fails while a real build uses it, and a build that is killed outright: results are right, and what was done is kept."""

import json

import support


class BrokenCache(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.package = support.tiny_package(self.world / "tiny")
        self.actions = self.world / "cache" / "sagebuild" / "actions"
        self.actions.mkdir(parents=True)

    def assert_builds_with_one_warning(self, outcome):
        self.assertEqual(outcome.code, 0, outcome)
        self.assertEqual(len(list(self.out.glob("*.whl"))), 1)
        warnings = [line for line in outcome.stderr.splitlines() if line.startswith("warning: ") and "cache" in line]
        self.assertEqual(len(warnings), 1, outcome)

    @support.require(support.can_mount(), "no mount namespace without root")
    def test_full(self):
        self.assert_builds_with_one_warning(self.build(self.package, prefix=support.mounted(self.actions, "size=64k,mode=700")))

    @support.require(support.can_mount(), "no mount namespace without root")
    def test_read_only(self):
        self.assert_builds_with_one_warning(self.build(self.package, prefix=support.mounted(self.actions, "ro,mode=700")))

    def test_entries_that_were_cut(self):
        """Every second file of the cache loses its end: those are misses, and the wheel is the same."""
        first = self.build(self.package)
        self.assertEqual(first.code, 0, first)
        wheel, = self.out.glob("*.whl")
        content = wheel.read_bytes()
        wheel.unlink()
        for path in sorted(path for path in self.actions.rglob("*") if path.is_file())[::2]:
            path.write_bytes(path.read_bytes()[:-1])
        again = self.build(self.package)
        self.assertEqual(again.code, 0, again)
        self.assertEqual(wheel.read_bytes(), content)


class KilledOutright(support.EndToEnd):
    def test_the_next_build_does_the_rest(self):
        """Signal 9 while the binding is held at a gate and the kernel's object is done: only the binding's steps run then."""
        gate = support.Gate(self.world)
        original = (support.SOURCE / "tests/e2e/packages/tiny/csrc/binding.cpp").read_text()
        package = support.tiny_package(self.world / "tiny", binding=gate.include() + original)
        running = self.start(*self.build_arguments(package, "-v", "-j", "2"))
        running.wait_for_line("join ")  # the last step of the kernel's source
        gate.reached(running)
        running.process.kill()
        running.process.wait()
        self.assertNotEqual(list((self.world / "tmp").iterdir()), [], "nothing was left for the next build to sweep")
        running.end()  # compilers that it left behind
        gate.open()

        timeline = self.world / "timeline.json"
        outcome = self.build(package, "--timeline", timeline)
        self.assertEqual(outcome.code, 0, outcome)
        steps = [event for event in json.loads(timeline.read_text())["traceEvents"] if event["ph"] == "X"]
        ran = [(event["args"]["kind"], event["name"]) for event in steps if not event["args"]["cached"]]
        compiled = [name for kind, name in ran if kind in ("cicc", "ptxas", "cudafe++", "host compile", "nvcc")]
        self.assertEqual(compiled, [], ran)
        self.assertIn("g++", [kind for kind, _ in ran])
        self.assertEqual(list((self.world / "tmp").iterdir()), [])

        wheel, = self.out.glob("*.whl")
        content = wheel.read_bytes()
        wheel.unlink()
        fresh = self.build(package, "--no-cache")
        self.assertEqual(fresh.code, 0, fresh)
        self.assertEqual(wheel.read_bytes(), content)


if __name__ == "__main__":
    support.main()
