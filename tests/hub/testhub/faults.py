"""The fault script: which request goes wrong, when, and how.

A fault is JSON:
  endpoint  a name from hub.ENDPOINTS or storage.ENDPOINTS, or "*"
  skip      how many matching requests pass first (0)
  count     how many are then hit (1; -1 = all)
  phase     before: nothing of the request takes effect; during: while the body comes in, or while the answer goes out;
            after: the effect happened
  action    status  answer `status` with `headers` and `body`
            reset   RST;  close: FIN without an answer;  stall: silence until the client gives up
            In phase "during" these three strike after `bytes` of the request body (default: half), or, for a request without
            body, after half of the answer.
            truncate, html, broken_json: the answer is cut, or replaced under its own status
            portal   a page with status 200 in place of the answer; in phase "before" nothing of the request takes effect
            retype   the JSON answer with its node number `node` (the answer itself is 0; what it holds follows, depth first)
                     replaced by `value`, or left out with `drop`. The log tells as `nodes` how many there are
            trickle  the answer (phase after) or the reading of the body (during) at `rate` bytes a second (1000)
            delay    `seconds` later
            commit   someone else commits `files` {path: text} and removes the paths `removed` in `repo` first, then the request goes on
            rename   `repo` is called `to` from now on, then the request goes on
            odd      `kind`: what the endpoint answers is odd in a way that the endpoint knows
"""

import threading


class Fault:
    def __init__(self, spec):
        self.spec = spec
        self.endpoint = spec["endpoint"]
        self.phase = spec.get("phase", "before")
        self.action = spec["action"]
        self.skip, self.count = spec.get("skip", 0), spec.get("count", 1)
        if self.phase not in ("before", "during", "after"):
            raise ValueError(f"unknown phase {self.phase}")

    def get(self, key, default=None):
        return self.spec.get(key, default)


class Faults:
    def __init__(self):
        self.lock, self.waiting, self.struck = threading.Lock(), [], []

    def script(self, specs):
        with self.lock:
            self.waiting, self.struck = [Fault(spec) for spec in specs], []

    def next(self, endpoint):
        """The faults that hit this request, at most one of each phase and odd kind."""
        hits = []
        with self.lock:
            for fault in list(self.waiting):
                if fault.endpoint not in ("*", endpoint):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.count == 0:
                    continue
                fault.count -= 1
                hits.append(fault)
                self.struck.append({"endpoint": endpoint, "phase": fault.phase, "action": fault.action})
        return hits
