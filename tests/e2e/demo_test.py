"""`make demo`'s script, with the torch environment that the tests share. A second run makes and compiles nothing."""

import json
import os
import subprocess

import support


class Demo(support.EndToEnd):
    def run_demo(self):
        environment = {**self.environment, "SAGEBUILD_CACHE_DIR": str(support.CACHE / "sagebuild"),
                       "SAGEBUILD_TIMELINE": str(self.world / "timeline.json")}
        if "SAGEBUILD_TEST_PYTHON" in os.environ:
            environment["SAGEBUILD_PYTHON"] = os.environ["SAGEBUILD_TEST_PYTHON"]
        done = subprocess.run([support.SOURCE / "examples" / "demo.sh", support.BINARY, self.out], env=environment, cwd=self.world,
                              capture_output=True, text=True)
        outcome = support.Outcome(done.returncode, done.stdout, done.stderr)
        self.assertEqual(outcome.code, 0, outcome)
        wheel, = self.out.glob("*.whl")
        self.assertIn(str(wheel), outcome.stdout.splitlines())
        for word in ("sm_80", "sm_89", "sm_120", "compute_120"):
            self.assertIn(word, outcome.stdout)
        for name in ("_fused", "_qattn_sm80", "_qattn_sm89"):
            self.assertRegex(outcome.stdout, rf"(?m)^minisage\.{name} \['\w+")
        self.assertRegex(outcome.stdout, r"(?m)^minisage \S+ with torch 2\.11")
        bars = [event["args"] for event in json.loads((self.world / "timeline.json").read_text())["traceEvents"] if event["ph"] == "X"]
        return wheel.read_bytes(), bars

    def test_twice(self):
        first, _ = self.run_demo()
        again, bars = self.run_demo()
        self.assertEqual(first, again)
        self.assertGreater(len(bars), 10)  # eight sources and three modules
        self.assertEqual([bar for bar in bars if not bar["cached"]], [])


if __name__ == "__main__":
    support.main()
