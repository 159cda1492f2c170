"""What a command costs with everything it starts: wall time, CPU time, resident memory. And what machine this is."""

import contextlib
import dataclasses
import os
import pathlib
import platform
import signal
import subprocess
import threading
import time

INTERVAL = 0.1  # seconds between two looks at the memory
PAGE = os.sysconf("SC_PAGE_SIZE")
CGROUPS = pathlib.Path("/sys/fs/cgroup")


@dataclasses.dataclass
class Cost:
    wall_s: float
    cpu_s: float
    peak_bytes: int
    cpu_from: str  # "cgroup", or "rusage": of the processes that their parents waited for


class Cgroup:
    """A control group of our own. Counts daemons too, and what was killed before anybody waited for it."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    @classmethod
    def make(cls):
        """None where this user may not."""
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if "cpuacct" in controllers.split(","):
                base = CGROUPS / "cpuacct"
            elif not controllers and (CGROUPS / "cgroup.controllers").exists():
                base = CGROUPS
            else:
                continue
            try:
                group = cls(base / path.lstrip("/") / f"sagebuild-bench-{os.getpid()}")
            except OSError:
                continue
            if subprocess.run(group.entering(["true"]), stderr=subprocess.DEVNULL).returncode == 0:
                return group
            group.remove()
        return None

    def entering(self, argv):
        """The command that runs `argv` in this group."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *map(str, argv)]

    def cpu_seconds(self):
        usage = self.folder / "cpuacct.usage"  # version 1
        if usage.exists():
            return int(usage.read_text()) / 1e9
        fields = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6

    def members(self):
        return [int(line) for line in (self.folder / "cgroup.procs").read_text().split()]

    def remove(self):
        for _ in range(100):  # an ended process leaves its group a moment later
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.05)


def descendants(roots):
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                parents[int(entry)] = int(pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
    found, grew = set(roots) & parents.keys(), True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found, grew = found | more, bool(more)
    return found


def resident_bytes(pids):
    """Sum of the resident sets, so pages that processes share count for each. Proportional sets (Pss) would not, but reading
    one takes 30 ms per GB: with many compilers it would slow down what it measures."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            pages += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * PAGE


class Meter:
    """Runs commands and counts them together.

        with Meter() as meter:
            code = meter.run(argv, log, cwd=..., env=...)
        meter.cost  # from here on
    """

    def __init__(self, cgroup=True):
        self.group = Cgroup.make() if cgroup else None
        self.running, self.used, self.wall, self.peak = [], 0.0, 0.0, 0
        self.cost = None
        self._end = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self):
        self._before = self.group.cpu_seconds() if self.group else 0.0
        self._sampler.start()
        return self

    def start(self, argv, log, **options):
        """Starts a helper that counts too, such as a compiler cache's server; end it and wait_for() it."""
        entering = self.group.entering(argv) if self.group else list(map(str, argv))
        process = subprocess.Popen(entering, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **options)
        self.running.append(process)
        return process

    def wait_for(self, process):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.running.remove(process)
        self.used += usage.ru_utime + usage.ru_stime
        return process.returncode

    def run(self, argv, log, **options):
        began = time.monotonic()
        code = self.wait_for(self.start(argv, log, **options))
        self.wall += time.monotonic() - began
        return code

    def members(self):
        return self.group.members() if self.group else descendants(process.pid for process in self.running)

    def _sample(self):
        while not self._end.wait(INTERVAL):
            self.peak = max(self.peak, resident_bytes(self.members()))

    def __exit__(self, kind, error, trace):
        self._end.set()
        self._sampler.join()
        left = {process.pid for process in self.running} | set(self.members())
        for pid in left:  # only after a fault: we started all of them
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in list(self.running):
            self.wait_for(process)
        cpu = self.group.cpu_seconds() - self._before if self.group else self.used
        if self.group:
            self.group.remove()
        self.cost = Cost(self.wall, cpu, self.peak, "cgroup" if self.group else "rusage")


def cores():
    return len(os.sched_getaffinity(0))


def memory_bytes():
    """What there is, or what a control group allows if that is less."""
    found = [os.sysconf("SC_PHYS_PAGES") * PAGE]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int((CGROUPS / name).read_text()))
    return min(found)


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": cores(), "memory_gb": round(memory_bytes() / 2**30), "kernel": platform.release()}
