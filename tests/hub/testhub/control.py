"""The control origin, for tests: scripts faults, seeds repositories, tells what happened. One POST /call with JSON {"do": ...}."""

import base64
import json
import threading

from .state import Entry
from .wire import Answer


class Log:
    """Every request in the order of arrival, over all origins but the control one."""

    def __init__(self):
        self.lock, self.entries = threading.Lock(), []

    def begin(self, wire, auth):
        entry = {"origin": type(wire.app).__name__.lower(), "endpoint": wire.endpoint, "method": wire.command,
                 "path": wire.path, "auth": auth, "type": wire.headers.get("Content-Type", ""),
                 "agent": wire.headers.get("User-Agent", ""), "bytes": 0, "status": 0}
        with self.lock:
            self.entries.append(entry)
        return entry


class Silent:
    def begin(self, *_):
        return {}


class Elsewhere:
    """A foreign host: answers everything with 200 and an empty object. The log tells whether a token arrived."""

    faults = None

    def __init__(self, log, stopping):
        self.log, self.stopping = log, stopping

    def route(self, method, path):
        return "elsewhere", {}

    def handle(self, wire, length):
        wire.body(length)
        return Answer(200, {})


class Control:
    faults = None

    def __init__(self, state, faults, log, stopping):
        self.state, self.script, self.requests, self.stopping = state, faults, log, stopping
        self.log = Silent()

    def route(self, method, path):
        return "control", {}

    def handle(self, wire, length):
        asked = json.loads(wire.body(length))
        wire.faults = []
        return Answer(200, getattr(self, "do_" + asked.pop("do"))(**asked) or {})

    def do_reset(self, **options):
        self.script.script([])
        self.state.reset(options)
        self.requests.entries.clear()

    def do_faults(self, faults):
        self.script.script(faults)

    def do_struck(self):
        return {"struck": self.script.struck}

    def do_log(self, clear=False):
        with self.requests.lock:
            entries = list(self.requests.entries)
            if clear:
                self.requests.entries.clear()
        return {"log": entries}

    def do_state(self):
        return self.state.summary()

    def do_create(self, name, kind="model", private=False, gated=False, disabled=False):
        with self.state.lock:
            self.state.create(kind, name, private, {"name": "user", "role": "write"})
            repo = self.state.repos[kind, name]
            repo.gated, repo.disabled = gated, disabled

    def do_commit(self, name, files, kind="model", revision="main", summary="seeded"):
        """files: path -> text, or path -> [oid, size]."""
        entries = {path: Entry(value.encode()) if isinstance(value, str) else Entry(oid=value[0], size=value[1])
                   for path, value in files.items()}
        return {"id": self.state.change(self.state.repos[kind, name], revision, entries, [], summary).id}

    def do_pulls(self, name, count, title="somebody else's", description="", author="somebody", kind="model"):
        """Pull requests, each with one more file."""
        with self.state.lock:
            repo = self.state.repos[kind, name]
            for _ in range(count):
                number = repo.open_pull(title, description, author)
                self.state.change(repo, f"refs/pr/{number}", {f"theirs-{number}.txt": Entry(b"x")}, [], title)

    def do_rename(self, name, to, kind="model"):
        with self.state.lock:
            repo = self.state.repos.pop((kind, name))
            repo.name = to
            self.state.repos[kind, to], self.state.renamed[name] = repo, to

    def do_read(self, name, path, kind="model", revision="main"):
        with self.state.lock:
            entry = self.state.repos[kind, name].commit_at(revision).files[path]
            content = entry.content if entry.lfs is None else self.state.objects[entry.lfs][0].read_bytes()
        return {"content": base64.b64encode(content).decode()}

    def do_sign(self, oid):
        return {"query": f"X-Amz-Expires=900&X-Amz-Signature={self.state.sign(('single', oid))}"}

    def do_forget_objects(self):
        with self.state.lock:
            self.state.objects.clear()
