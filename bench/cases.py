"""The builds that are compared. Each gets a folder, and says how it failed if it did."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile

import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import gpu_images  # noqa: E402  a reader that is no part of the program under test

# Where a project's sources are touched. `header`: every CUDA source includes it. `kernel`: an sm89 source, the chain of headers from
# it to the one with the kernel, and the line there that is changed. `launcher`: a source that is compiled in parts, one of its
# launchers, and what is changed in its body, so that its kernels are others.
TOUCH = {
    "sageattention": {
        "header": "csrc/utils.cuh",
        "kernel": ["csrc/qattn/sm89_qk_int8_sv_f8_accum_f16_attn_inst_buf.cu", "csrc/qattn/qk_int_sv_f8_cuda_sm89.cuh"],
        "line": ("  sm_scale *= math::log2e;", "  sm_scale *= math::log2e * 1.5f;"),
        "launcher": ("csrc/qattn/qk_int_sv_f16_cuda_sm80.cu", "qk_int8_sv_f16_accum_f16_fuse_v_mean_attn(",
                     "constexpr int CTA_Q = 128;", "constexpr int CTA_Q = 64;"),
    },
    "minisage": {
        "header": "csrc/warp.cuh",
        "kernel": ["csrc/qattn/sm89_qk_int8_sv_f8_accum_f16_attn.cu", "csrc/qattn/qk_int8_sv_f8_sm89.cuh", "csrc/qattn/launch.cuh",
                   "csrc/qattn/attention.cuh"],
        "line": ("score_scale_ * k_scale[j];", "score_scale_ * k_scale[j] * 1.5f;"),
    },
}
# The least that upstream needs to build at all: wgmma exists on 9.0a only, and one list of -gencode flags serves all modules.
HOPPER_ONLY = '''
for extension in ext_modules:
    if extension.name.endswith("_qattn_sm90"):
        flags = [flag for flag in extension.extra_compile_args["nvcc"] if flag != "-gencode" and "arch=" not in flag]
        flags += ["-gencode", "arch=compute_90a,code=sm_90a"]
        extension.extra_compile_args = {**extension.extra_compile_args, "nvcc": flags}

'''
HEADLINE = "12.0+PTX"
GB_PER_PASS = 2.7  # of one device pass with torch's full headers


class Failed(Exception):
    """A build that gave no wheel, or a wrong one. The text names the log."""


class Skipped(Exception):
    pass


def git(folder, *arguments, **options):
    return subprocess.run(["git", "-C", folder, "-c", "safe.directory=*", *arguments], capture_output=True, **options)


def resolve_source(source, ref):
    """The commit that is built; a digest of all files for a plain folder."""
    found = git(source, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", text=True)
    own = source / ".git" if (source / ".git").exists() else source
    is_repository = found.returncode == 0 and (own.name == ".git" or (source / "objects").exists())
    if is_repository:
        return found.stdout.strip()
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    return f"folder {digest.hexdigest()[:12]}"


def export_tree(source, commit, folder):
    """Not `git archive`, which fails where a partial clone lacks a picture; no build needs those."""
    if commit.startswith("folder"):
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("build", "dist", "*.egg-info", ".git"))
        return
    entries = git(source, "ls-tree", "-rz", commit, check=True).stdout.decode().split("\0")
    for entry in filter(None, entries):
        (mode, kind, blob), name = entry.split("\t")[0].split(), entry.split("\t")[1]
        content = git(source, "cat-file", "blob", blob) if kind == "blob" else None
        if content and content.returncode == 0 and mode != "120000":
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.stdout)


def expected_modules(archs):
    """Per module the images that the wheel must at least have, whichever of the recipe's or upstream's targets were built."""
    numbers = {arch.removesuffix("+PTX") for arch in archs.split()}
    found = {"_fused": set(), "_qattn_sm80": set()}
    if numbers - {"8.0", "8.6", "8.7"}:
        found["_qattn_sm89"] = set()
    if "9.0" in numbers:
        found["_qattn_sm90"] = {"sm_90a"}
    if "10.0" in numbers:
        found["_fused"] = {"sm_100"}
    return found


def check_wheel(folder, archs):
    """Gives the modules with their GPU images."""
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise Failed(f"{len(wheels)} wheels instead of one")
    found = {}
    with zipfile.ZipFile(wheels[0]) as wheel, tempfile.TemporaryDirectory(dir=folder) as unpacked:
        for name in wheel.namelist():
            if name.endswith(".so"):
                found[pathlib.Path(name).name.partition(".")[0]] = gpu_images.images(wheel.extract(name, unpacked))
    expected = expected_modules(archs)
    if found.keys() != expected.keys() or not all(found.values()):
        raise Failed(f"the wheel's modules are {found}, expected {sorted(expected)} with GPU code")
    lacking = {name: images for name, images in expected.items() if not images <= found[name]}
    if lacking:
        raise Failed(f"the wheel lacks {lacking}: {found}")
    return {name: sorted(images) for name, images in sorted(found.items())}


def replace_once(path, old, new):
    text = path.read_text()
    if text.count(old) != 1:
        raise Failed(f"{path.name} has {text.count(old)} times {old!r}, expected one: bench/cases.py does not fit this commit")
    path.write_text(text.replace(old, new))


class Bench:
    """What all cases share: the program, the Python, the sources, a work folder."""

    def __init__(self, program, python, toolkit, source, commit, archs, jobs, work, logs, wheels=None):
        self.program, self.python, self.toolkit = program, python, toolkit
        self.source, self.commit, self.archs, self.jobs, self.work, self.logs = source, commit, archs, jobs, work, logs
        self.wheels = wheels
        self.caches = work / "cache"
        self.tree("look")
        setup = (work / "look" / "setup.py").read_text()
        self.project = next((name for name in TOUCH if f"{name}._fused" in setup), None)
        if self.project is None:
            raise Failed(f"{source} is neither SageAttention nor minisage")

    # ---- what a build runs in

    def environment(self, python, **more):
        """Nothing of the caller's that one of the flows would read, and a temporary folder that is cleared with the rest."""
        (self.work / "tmp").mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items()
                if name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SSL_CERT_FILE") or name.lower().endswith("_proxy")}
        return kept | {"TMPDIR": str(self.work / "tmp"), "CUDA_HOME": str(self.toolkit), **more,
                       "PATH": f"{python.parent}:{self.toolkit}/bin:{kept['PATH']}"}

    def tree(self, name):
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        export_tree(self.source, self.commit, folder)
        return folder

    def measured(self, name, argv, out, archs=None, server=None, **options):
        """Runs one build and checks its wheel. Gives its row."""
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        log_path = self.logs / f"{name}.log"
        try:
            with open(log_path, "ab") as log, measure.Meter() as meter, server(meter) if server else contextlib.nullcontext():
                code = meter.run(argv, log, **options)
            if code != 0:
                raise Failed(f"exit {code}")
            modules = check_wheel(out, archs or self.archs)
            if self.wheels:
                shutil.copytree(out, self.wheels / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        except Failed as error:
            raise Failed(f"{error}; log: {log_path}") from None
        return {**vars(meter.cost), "modules": modules}

    # ---- upstream's own flow

    def upstream_settings(self):
        """As wide as upstream's switches go without running out of memory: about two device passes per core."""
        extensions = 4 if measure.cores() >= 8 else 1
        compiles = min(11, extensions * self.jobs)
        fit = int(0.8 * measure.memory_bytes() / 2**30 / GB_PER_PASS)
        threads = max(1, min(-(-2 * self.jobs // compiles), fit // compiles))
        settings = {"EXT_PARALLEL": str(extensions), "MAX_JOBS": str(self.jobs), "NVCC_APPEND_FLAGS": f"--threads={threads}"}
        return {name: os.environ.get(f"SAGEBUILD_BENCH_{name}", value) for name, value in settings.items()}

    def link_folder(self):
        """What upstream's link needs and CUDA's packages from PyPI (and machines without a driver) lack."""
        folder = self.work / "link"
        folder.mkdir(exist_ok=True)
        if not (folder / "libcuda.so").exists():
            subprocess.run(["g++", "-shared", "-fPIC", "-xc", "-", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so"],
                           input="int cuTensorMapEncodeTiled() { return 1; }", text=True, check=True)
            runtime = sorted(self.toolkit.glob("lib*/libcudart.so*"))
            if runtime and not (self.toolkit / "lib64" / "libcudart.so").exists():
                (folder / "libcudart.so").symlink_to(runtime[0])
        return folder

    def upstream(self, name="U", patched=False, server=None, archs=None, **more):
        tree = self.tree("upstream")  # always the same path: a compiler cache may have it in its keys
        archs = asked = archs or self.archs
        if patched:
            subprocess.run([self.program, "--quiet", "patch", tree], check=True, stdout=subprocess.DEVNULL,
                           env=self.environment(self.python))
        else:
            replace_once(tree / "setup.py", "\nsetup(\n", HOPPER_ONLY + "setup(\n")
            archs = archs.replace(" ", ";")  # the only separator that upstream knows
        environment = self.environment(self.python, TORCH_CUDA_ARCH_LIST=archs, LIBRARY_PATH=str(self.link_folder()),
                                       **self.upstream_settings(), **more)
        out = self.work / "wheels"
        return self.measured(name, [self.python, "setup.py", "bdist_wheel", "-d", out], out, asked, server=server, cwd=tree,
                             env=environment)

    def through_sccache(self, name):
        """Its server runs the compilers, so it is one of the processes that are counted. Without a network, bring build/tools/sccache."""
        target = ROOT / "build" / "tools" / "sccache"
        program = target / "bin" / "sccache"
        if not program.exists():
            subprocess.run(["uv", "pip", "install", "--quiet", "--python", self.python, "--target", target, "sccache>=0.16"], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        variables = {"SCCACHE_DIR": str(self.work / "sccache"), "SCCACHE_SERVER_PORT": str(port), "SCCACHE_IDLE_TIMEOUT": "0",
                     "SCCACHE_CACHE_SIZE": "30G"}
        environment = self.environment(self.python, **variables)

        @contextlib.contextmanager
        def server(meter):
            with open(self.logs / f"{name}-server.log", "ab") as log:
                process = meter.start([program], log, env=environment | {"SCCACHE_START_SERVER": "1", "SCCACHE_NO_DAEMON": "1"})
                try:
                    wait_until_open(port, process)
                    yield
                    subprocess.run([program, "--show-stats"], env=environment, stdout=log, stderr=log)
                finally:
                    subprocess.run([program, "--stop-server"], env=environment, stdout=log, stderr=log)
                    if process.poll() is None:
                        meter.wait_for(process)

        # torch asks `which` for the text in CXX while it checks the compiler, so its check is off, as sccache's users have it.
        return self.upstream(name, server=server, PYTORCH_NVCC=f"{program} {self.toolkit}/bin/nvcc", CXX=f"{program} g++",
                             TORCH_DONT_CHECK_COMPILER_ABI="1", **variables)

    # ---- sagebuild

    def sagebuild(self, name, tree, python=None, archs=None, cache=None, more=()):
        python, out = python or self.python, self.work / "wheels"
        timeline = self.work / "timeline.json"
        argv = [self.program, "build", "--source", tree, "--arch", archs or self.archs, "--python", python, "--jobs", str(self.jobs),
                "--cuda-home", self.toolkit, "--output", out, "--timeline", timeline, *more]
        environment = self.environment(python, SAGEBUILD_CACHE_DIR=str(cache or self.caches))
        row = self.measured(name, argv, out, archs, env=environment, cwd=self.work)
        return row | steps_of(json.loads(timeline.read_text()))

    def cold(self, name="cold", **options):
        shutil.rmtree(self.caches, ignore_errors=True)
        return self.sagebuild(name, self.tree("source"), **options)

    def touched_header(self, name, text):
        tree = self.tree("source")
        replace_once(tree / TOUCH[self.project]["header"], "#pragma once\n", f"#pragma once{text}\n")
        return self.sagebuild(name, tree)

    def touched_kernel(self, name):
        """The kernels are templates in a header that all sm89 sources share. To change one source's alone, that source gets a copy
        of the header; the copy is built unchanged first (not counted), so only the changed line is new."""
        tree, touch = self.tree("source"), TOUCH[self.project]
        source, *chain = [tree / path for path in touch["kernel"]]
        for header in chain:
            own = header.with_name("own_" + header.name)
            shutil.copy(header, own)
            replace_once(source, f'#include "{header.name}"', f'#include "{own.name}"')
            source = own
        # A changed source is none for which the recipe vouches: who works on kernels says so.
        more = ("--headers", "facade")
        self.sagebuild(name + "-before", tree, more=more)
        replace_once(source, *touch["line"])
        return self.sagebuild(name, tree, more=more)

    def touched_launcher(self, name):
        """As touched_kernel: the source is built in parts first, so that only one part is new."""
        if "launcher" not in TOUCH[self.project]:
            raise Skipped(f"{self.project} has no source that is compiled in parts")
        tree = self.tree("source")
        path, launcher, old, new = TOUCH[self.project]["launcher"]
        more = ("--headers", "facade")
        self.sagebuild(name + "-before", tree, more=more)
        text = (tree / path).read_text()
        before, found, behind = text.partition(launcher)
        if not found or old not in behind:
            raise Failed(f"{path} has no {launcher!r} with {old!r}: bench/cases.py does not fit this commit")
        (tree / path).write_text(before + found + behind.replace(old, new, 1))
        return self.sagebuild(name, tree, more=more)

    def headline(self, name):
        """What the owner of one new GPU asks for. A cache of its own: that of `cold` is used by other cases."""
        cache = self.work / "headline-cache"
        shutil.rmtree(cache, ignore_errors=True)
        return self.sagebuild(name, self.tree("source"), archs=HEADLINE, cache=cache)

    def one_more_arch(self, name):
        numbers = [arch.removesuffix("+PTX") for arch in self.archs.split()]
        more = next(arch for arch in ("10.0", "12.0", "9.0", "8.9") if arch not in numbers)
        return self.sagebuild(name, self.tree("source"), archs=f"{self.archs} {more}") | {"note": f"adds {more}"}

    def full_remote(self, name):
        """nginx on this machine is not counted: it stands for another machine."""
        helper = subprocess.Popen([sys.executable, ROOT / "tests" / "cache" / "nginx.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, env=self.environment(self.python))
        with helper:
            told = json.loads(helper.stdout.readline())
            if told["skip"]:
                raise Skipped(told["skip"])
            remote = ["--cache-remote", told["open"]]
            tree = self.tree("source")
            self.cold("remote-filling", more=remote)  # an own build: what is in the cache already is not sent
            cache = self.work / "empty-cache"
            shutil.rmtree(cache, ignore_errors=True)
            row = self.sagebuild(name, tree, cache=cache, more=remote)
            helper.stdin.close()
        return row


def wait_until_open(port, process):
    for _ in range(200):
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), 1).close()
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise Failed("sccache's server does not start")


def steps_of(timeline):
    """How many steps ran and were found, and what kinds ran."""
    steps = [event["args"] for event in timeline["traceEvents"] if event["ph"] == "X"]
    ran = [step["kind"] for step in steps if not step["cached"]]
    return {"steps_ran": len(ran), "steps_cached": len(steps) - len(ran), "kinds_ran": {kind: ran.count(kind) for kind in sorted(set(ran))}}


def torch_facts(python, toolkit=None):
    """Versions, and the toolkit: the one named, CUDA_HOME, torch's own choice, or the packages beside torch."""
    code = ("import glob, json, os, sys, sysconfig, torch; from torch.utils.cpp_extension import CUDA_HOME;"
            "beside = sorted(glob.glob(sysconfig.get_paths()['purelib'] + '/nvidia/cu*/bin/nvcc'));"
            "print(json.dumps({'python': sys.version.split()[0], 'torch': torch.__version__, 'torch_folder': os.path.dirname(torch.__file__),"
            "'toolkit': CUDA_HOME or (beside and os.path.dirname(os.path.dirname(beside[-1]))) or ''}))")
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{python} has no torch: {done.stderr[-500:]}")
    facts = json.loads(done.stdout.splitlines()[-1])
    facts["toolkit"] = str(toolkit or facts["toolkit"])
    version = subprocess.run([f"{facts['toolkit']}/bin/nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    return facts | {"nvcc": re.search(r"V([\d.]+)", version)[1]}
