"""`--headers check`: torch's own headers give the same device code, exports and host functions for
every source of the projects whose recipes vouch for the stand-ins. SageAttention itself is checked
where SAGEBUILD_BENCH_SOURCE names a git directory of it. Minutes."""

import collections
import json
import os
import unittest

import support


class HeaderCheck(support.EndToEnd):
    def check(self, source, arch, *more):
        timeline = self.world / "timeline.json"
        arguments = self.build_arguments(source, "--headers", "check", "--json", "--timeline", timeline, *more, arch=arch)
        outcome = self.start(*arguments).finish(6000)
        self.assertEqual(outcome.code, 0, outcome)
        rows = json.loads(outcome.stdout)["sources"]
        cuda = [row for row in rows if row["source"].endswith(".cu")]
        self.assertGreater(len(cuda), 3)
        for row in rows:
            mode = "facade headers" if row in cuda else "binding headers"
            self.assertEqual(row["mode"], mode, row)
        events = json.loads(timeline.read_text())["traceEvents"]
        ran = collections.Counter(event["cat"] for event in events if event.get("ph") == "X")
        print(dict(ran))
        self.assertEqual(ran["host header proof"], len(rows))
        self.assertGreaterEqual(ran["header proof"], len(cuda))

    def test_minisage(self):
        self.check(support.SOURCE / "examples" / "minisage", "8.9 12.0+PTX")

    @unittest.skipUnless("SAGEBUILD_BENCH_SOURCE" in os.environ, "SAGEBUILD_BENCH_SOURCE names no SageAttention")
    def test_sageattention(self):
        self.check(os.environ["SAGEBUILD_BENCH_SOURCE"], "8.0 8.9 9.0 12.0+PTX", "--ref", "main")


if __name__ == "__main__":
    support.main()
