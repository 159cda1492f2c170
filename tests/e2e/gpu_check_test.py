"""`verify --gpu`: without a GPU it says so first; what it calls and how it judges, with functions that run on the CPU; and on a GPU where
there is one.
"""

import ctypes
import json
import shutil
import subprocess
import tomllib
import unittest

import support
from inspect_test import make_wheel, tool

SCRIPT = support.SOURCE / "patches" / "verify" / "gpu_check.py"

# A driver, as far as it is asked.
DRIVER = """
void abort(void);
int cuInit(unsigned flags) {{ return {code}; }}
int cuDeviceGetCount(int *count) {{ *count = {count}; return 0; }}
int cuGetErrorString(int code, const char **text) {{ *text = "no CUDA-capable device is detected"; return 0; }}
"""

PACKAGE = '''
import os
import signal
import torch
import torch.nn.functional as F

calls = 0
print("chatter of an import")


def attention(q, k, v, is_causal=False, spread=torch.repeat_interleave):
    k, v = (spread(tensor, q.size(1) // k.size(1), 1) for tensor in (k, v))
    return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=is_causal).to(q.dtype)


def right(q, k, v, tensor_layout="HND", is_causal=False):
    os.write(1, b"chatter of a call")
    if tensor_layout == "HND":
        return attention(q, k, v, is_causal)
    return attention(*(tensor.transpose(1, 2) for tensor in (q, k, v)), is_causal).transpose(1, 2)


def packed(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, is_causal=False):
    assert cu_seqlens_q.dtype == torch.int32 and q.is_contiguous()
    lengths = [ends.diff().tolist() for ends in (cu_seqlens_q, cu_seqlens_k, cu_seqlens_k)]
    assert [max_seqlen_q, max_seqlen_k] == [max(lengths[0]), max(lengths[1])]
    sequences = zip(*(tensor.transpose(0, 1)[None].split(some, dim=2) for tensor, some in zip((q, k, v), lengths)))
    return torch.cat([attention(*sequence, is_causal)[0] for sequence in sequences], dim=1).transpose(0, 1)


def off(q, k, v, is_causal, by):
    return attention(q, k, v, is_causal) * (1 + float(by)), "and something else"


def last_rows(q, k, v, is_causal):
    result = attention(q, k, v, is_causal)
    result[:, -1, -5:] = 0
    return result


def no_mask(q, k, v, is_causal):
    return attention(q, k, v)


def other_heads(q, k, v, is_causal):
    return attention(q, k, v, is_causal, lambda tensor, times, dim: tensor.repeat(1, times, 1, 1))


def not_finite(q, k, v, is_causal):
    result = attention(q, k, v, is_causal)
    result[0, 0, 7, 3] = float("nan" if is_causal else "inf")
    return result


def other_shape(q, k, v, is_causal):
    return attention(q, k, v, is_causal)[:, :, :-1]


def in_int8(tensor, block):
    pieces = []
    for piece in tensor.float().split(block, dim=2):
        scale = piece.abs().amax((2, 3), keepdim=True) / 127
        pieces.append((piece / scale).round() * scale)
    return torch.cat(pieces, dim=2)


def rounded(q, k, v, is_causal, values):
    """What SageAttention's kernels round: q and k to INT8 in blocks, then weights and v to FP8 (scaled to 448) or FP16."""
    dtype = getattr(torch, values)
    k = k - k.float().mean(dim=2, keepdim=True).half()
    scores = in_int8(q, 128) @ in_int8(k, 64).transpose(2, 3) * q.size(3) ** -0.5
    if is_causal:
        scores = scores.masked_fill(torch.ones(scores.shape[2:], dtype=torch.bool).triu(1), float("-inf"))
    weights = (scores - scores.amax(dim=3, keepdim=True)).exp()
    scale = v.float().abs().amax(dim=2, keepdim=True) / 448
    result = (weights * 448).to(dtype).float() @ (v / scale).to(dtype).float() * scale / 448
    return (result / weights.sum(dim=3, keepdim=True)).half()


def too_large(q, k, v, is_causal, every):
    result = attention(q, k, v, is_causal)
    result[:, :, :, :128 if every else 1] = 3e38
    return result


def wordy(q, k, v, is_causal):
    raise RuntimeError("a folder caf\\udce9 " + "x" * 100000)


def forges(q, k, v, is_causal):
    for line in (b'{"similarity": 1, "relative_l1": 0}\\n', b'{"milliseconds": 1, "sdpa_milliseconds": 1}\\n'):
        for fd in range(3, 64):
            try:
                os.write(fd, line)
            except OSError:
                pass
    os._exit(0)


def raises(q, k, v, is_causal):
    raise RuntimeError("CUDA error: no kernel image is available for execution on the device")


def killed(q, k, v, is_causal):
    global calls
    calls += 1
    if calls == 2:
        os.kill(os.getpid(), signal.SIGABRT)
    return attention(q, k, v, is_causal)
'''

# Changes torch for all.
IMPOSTOR = """
import torch

def ones(q, k, v, is_causal):
    return torch.ones_like(q)

def same(q, k, v, **more):
    return torch.ones_like(q)

torch.nn.functional.scaled_dot_product_attention = same
torch.nn.functional.cosine_similarity = lambda one, other, dim: torch.ones(1)
"""

# Asks the script several questions in one process, which imports torch once.
ASKER = """
import importlib.util, json, os, sys
os.environ["OMP_NUM_THREADS"] = "1"
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
spec = importlib.util.spec_from_file_location("gpu_check", sys.argv[1])
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
answers = [[] for _ in sys.argv[2:]]
for question, answer in zip(sys.argv[2:], answers):
    script.check(json.loads(question), answer.append)
json.dump(answers, out)
"""

# What torch says of a GPU when CUDA begins, by its own functions, and what the script makes of it. Prints a line for each capability.
WARNER = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("gpu_check", sys.argv[1])
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
cuda = script.torch.cuda
cuda.init = lambda: (cuda._check_capability(), cuda._check_cubins())
cuda.device_count = lambda: 1
cuda.get_arch_list = lambda: ["sm_80", "sm_90", "sm_120"]
cuda.get_device_name = lambda index: "NVIDIA Fake"
for capability in ((9, 0), (7, 0)):
    cuda.get_device_capability = lambda index: capability
    print(json.dumps(script.device_facts("cuda")))
"""

# In the site-packages of a Python: torch of a machine with a GPU whose functions are computed by the CPU.
STAND_IN = """
import json, os, sys
os.environ["OMP_NUM_THREADS"] = "1"  # on a busy machine threads wait for each other
if len(sys.argv) == 2 and sys.argv[0].endswith("gpu_check.py"):
    question = json.loads(sys.argv[1])
    assert question.pop("device") == "cuda" and os.environ["TRITON_CACHE_DIR"].startswith(os.path.dirname(os.environ["TMPDIR"]))
    if question["do"] == "device":
        passed = [name for name in ("CC", "LIBRARY_PATH", "CUDA_PATH", "NVIDIA_TF32_OVERRIDE", "PYTORCH_CUDA_ALLOC_CONF", "TORCH_LOGS",
                                    "TRITON_PTXAS_PATH", "NVIDIA_API_KEY", "MINE") if name in os.environ]
        name = " ".join(["NVIDIA Fake", os.environ.get("CUDA_VISIBLE_DEVICES", "0"), *passed])
        print(json.dumps({"torch": "9.9", "cuda": "13.0", "name": name, "capability": "9.0",
                          "warnings": ["it is of cuda capability 9.0"]}), flush=True)
        os._exit(0)
    sys.argv[1] = json.dumps({**question, "device": "cpu"})
"""

RECIPE = """
name = "fixture"
detect = ["fixture"]
"""
CHECK = """
[[gpu_check]]
function = "fixture.{function}"
archs = "9.0"
dtypes = ["float16"]
grouped = false
similarity = 0.999
relative_l1 = 0.01
"""


def gpu_is_here():
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


class GpuCheck(support.EndToEnd):
    def wheel(self, name="fixture", folder="", tags="py3-none", **more):
        files = {f"{folder}{name}/__init__.py": PACKAGE.encode(), **more}
        return make_wheel(self.world, f"{name}-1.0-{tags}-linux_x86_64.whl", files)

    def driver(self, code=0, count=1):
        """The variables that put a driver of our own before this machine's."""
        folder = self.world / f"driver-{hash(code)}-{count}"
        folder.mkdir()
        subprocess.run(["gcc", "-shared", "-fPIC", "-xc", "-", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so.1"],
                       input=DRIVER.format(code=code, count=count), text=True, check=True)
        return {"LD_LIBRARY_PATH": str(folder)}

    def test_no_gpu_is_said_before_a_python_is_looked_for(self):
        arguments = ["verify", self.wheel(), "--gpu", "--python", self.world / "nowhere" / "python"]
        for variables, reason in (({}, "libcuda.so.1"), (self.driver(code=100), "no CUDA-capable device is detected (100)"),
                                  (self.driver(count=0), "the driver finds no GPU"),
                                  (self.driver(code="(abort(), 0)"), "the driver ends the process that asks it, by signal 6 (Aborted)")):
            if variables or not gpu_is_here():
                outcome = self.run_sagebuild(*arguments, **variables)
                self.assert_fails(outcome, 3, "--gpu needs a GPU", reason, "docker run --gpus all")
        # One that is here is not enough: torch must take it, and this driver has nothing that torch asks for.
        arguments[-1] = support.torch_python()
        self.assert_fails(self.run_sagebuild(*arguments, **self.driver()), 3, "torch cannot use the GPU", "caused by: ")
        self.assertEqual([path.name for path in (self.world / "cache").rglob("envs")], [])

    def test_a_python_that_the_wheel_is_not_for_is_said_first(self):
        wheel, variables = self.wheel(tags="cp39-cp39"), self.stand_in()
        for python in (support.torch_python(), "3.12"):
            outcome = self.run_sagebuild("verify", wheel, "--gpu", "--python", python, **variables)
            self.assert_fails(outcome, 3, " is Python 3.", "and the wheel is for cp39-cp39")
            self.assertNotIn("making", outcome.stderr)

    def asked(self, **functions):
        self.write_files({"fixture/__init__.py": PACKAGE, "fixture/impostor.py": IMPOSTOR})
        base = {"device": "cpu", "folder": str(self.world), "arguments": {}, "layouts": ["HND"], "dtypes": ["float16"],
                "causal": "is_causal", "grouped": False}
        questions = [json.dumps({**base, "function": f"fixture.{name}", **more}) for name, more in functions.items()]
        done = subprocess.run([support.torch_python(), "-I", "-B", "-c", ASKER, SCRIPT, *questions], capture_output=True, text=True,
                              env=self.environment, timeout=support.LIMIT)
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(zip(functions, json.loads(done.stdout)))

    def write_files(self, files):
        for name, text in files.items():
            (self.world / name).parent.mkdir(parents=True, exist_ok=True)
            (self.world / name).write_text(text)

    def cases(self, answer):
        """Pairs of a case and its numbers, and the line after the last."""
        self.assertIn("milliseconds", answer[-1], answer)
        self.assertEqual({key for line in answer[:-2:2] for key in line}, {"begin"})
        return [(before["begin"], after) for before, after in zip(answer[:-2:2], answer[1:-2:2])]

    def test_what_is_called_and_how_far_it_is_from_torch(self):
        answers = self.asked(
            right={"layouts": ["HND", "NHD"], "dtypes": ["float16", "bfloat16"], "grouped": True},
            packed={"layouts": ["varlen"], "dtypes": ["bfloat16"], "grouped": True}, off={"arguments": {"by": "0.05"}}, last_rows={},
            no_mask={}, other_heads={"grouped": True}, not_finite={}, other_shape={}, raises={}, missing={}, wordy={},
            too_large={"arguments": {"every": True}, "dtypes": ["bfloat16"]},
            too_large_once={"function": "fixture.too_large", "arguments": {"every": False}, "dtypes": ["bfloat16"]},
            ones={"function": "fixture.impostor.ones"})
        cases = self.cases(answers["right"])
        self.assertEqual(len(cases), 16)
        for key, values in (("dtype", ["bfloat16", "float16"]), ("layout", ["HND", "NHD"]), ("head_dim", [64, 128]),
                            ("causal", [False, True]), ("heads", [[4, 2], [4, 4]])):
            self.assertEqual([sum(case[key] == value for case, _ in cases) for value in values], [8, 8], key)
        # No length is a multiple of a block.
        self.assertTrue(all(length % 16 for case, _ in cases for pair in case["lengths"] for length in pair))
        self.assertEqual({len({*map(tuple, case["lengths"])}) for case, _ in self.cases(answers["packed"])}, {2})
        for name in ("right", "packed"):
            for case, numbers in self.cases(answers[name]):
                self.assertGreater(numbers["similarity"], 0.9999, case)
                self.assertLess(numbers["relative_l1"], 0.003, case)
        timed = answers["right"][-2:]
        self.assertEqual(timed[0]["begin"]["lengths"], [[64, 64]])
        self.assertTrue(all(0 < timed[1][key] < 1000 for key in ("milliseconds", "sdpa_milliseconds")), timed)

        for case, numbers in self.cases(answers["off"]):
            self.assertGreater(numbers["similarity"], 0.9999, case)
            self.assertAlmostEqual(numbers["relative_l1"], 0.05, delta=0.001, msg=case)
        for case, numbers in self.cases(answers["last_rows"]):  # five rows of one head
            self.assertLess(numbers["similarity"], 0.9, case)
        self.assertEqual([numbers["similarity"] > 0.999 for _, numbers in self.cases(answers["no_mask"])], [True, False] * 2)
        for case, numbers in self.cases(answers["other_heads"]):
            self.assertEqual(numbers["similarity"] > 0.999, case["heads"] == [4, 4], case)
        for name in ("not_finite", "too_large", "too_large_once"):
            for case, numbers in self.cases(answers[name]):
                self.assertEqual(numbers, {"similarity": None, "relative_l1": None}, name)
        for case, numbers in self.cases(answers["ones"]):
            self.assertLess(numbers["similarity"], 0.5, case)
        self.assertRegex(answers["wordy"][1]["failure"], r"^RuntimeError: a folder caf\? x{300,400}\.\.\.$")

        self.assertEqual(answers["other_shape"][1:], [{"failure": "ValueError: its result has the shape (2, 4, 976, 64)"}])
        self.assertEqual(answers["raises"][1:],
                         [{"failure": "RuntimeError: CUDA error: no kernel image is available for execution on the device"}])
        self.assertEqual(answers["missing"], [{"failure": "AttributeError: module 'fixture' has no attribute 'missing'"}])

    def test_every_module_is_the_wheels(self):
        # Behind the wheel on the path: a whole package where the wheel has a folder alone; another version of the wheel with a module
        # that the wheel lacks.
        self.write_files({
            "wheel/elsewhere/data": "", "elsewhere/__init__.py": PACKAGE,
            "wheel/thing/__init__.py": "import _thing_c", "wheel/Thing_x-2.dist-info/METADATA": "Name: Thing_x\n", "_thing_c.py": "",
            "thing_x-1.dist-info/METADATA": "Name: thing-x\n", "thing_x-1.dist-info/RECORD": "_thing_c.py,,\n",
            "wheel/late/__init__.py": "def right(*tensors, **more):\n  import late.kernels\n  return tensors[0]\n"
                                      "__path__.append(__path__[0].replace('/wheel', ''))\n", "late/kernels.py": ""})
        wheel = {"folder": str(self.world / "wheel")}
        answers = self.asked(raises={}, elsewhere={**wheel, "function": "elsewhere.right"}, late={**wheel, "function": "late.right"},
                             thing={**wheel, "function": "thing.right"})
        self.assertIn("failure", answers["raises"][-1])
        foreign = "ImportError: {} is that of " + str(self.world) + "/{}, not the wheel's"
        self.assertEqual(answers["elsewhere"], [{"import": foreign.format("elsewhere", "elsewhere/__init__.py")}])
        self.assertEqual(answers["thing"], [{"import": foreign.format("_thing_c", "_thing_c.py")}])
        self.assertEqual(answers["late"][-1], {"failure": foreign.format("late.kernels", "late/kernels.py")})

    def test_torchs_own_warnings_of_a_gpu(self):
        done = subprocess.run([support.torch_python(), "-I", "-B", "-c", WARNER, SCRIPT], capture_output=True, text=True,
                              env=self.environment, timeout=support.LIMIT)
        fits, misfit = map(json.loads, done.stdout.splitlines())
        self.assertEqual((fits["name"], fits["capability"], fits["warnings"]), ("NVIDIA Fake", "9.0", []), done)
        self.assertEqual(len(misfit["warnings"]), 2, done)
        self.assertTrue(all("NVIDIA Fake" in text and "\n" not in text for text in misfit["warnings"]), misfit)

    def test_the_tolerances_of_sageattention_let_its_roundings_pass_and_not_twice_as_much(self):
        rows = tomllib.loads((support.SOURCE / "patches" / "sageattention.toml").read_text())["gpu_check"]
        tolerances = {(row["similarity"], row["relative_l1"]) for row in rows}
        self.assertEqual(tolerances, {(0.999, 0.04), (0.998, 0.065)})
        # The last is FP8 with two bits of mantissa instead of three.
        judged = {"float16": ((0.999, 0.04), True), "float8_e4m3fn": ((0.998, 0.065), True), "float8_e5m2": ((0.998, 0.065), False)}
        answers = self.asked(**{values: {"function": "fixture.rounded", "arguments": {"values": values}} for values in judged})
        for values, ((similarity, relative_l1), passes) in judged.items():
            for case, numbers in self.cases(answers[values]):
                self.assertEqual(numbers["similarity"] >= similarity, passes, (values, case, numbers))
                self.assertEqual(numbers["relative_l1"] <= relative_l1, passes, (values, case, numbers))

    def stand_in(self, *checks, torch_is_the_users=False):
        """The variables of a machine with a GPU of 9.0, and with a recipe."""
        data = self.world / "data"
        shutil.copytree(support.SOURCE / "patches" / "verify", data / "patches" / "verify")
        (data / "patches" / "fixture.toml").write_text(RECIPE + "".join(checks))
        environment = support.environment_with_torch(self.world / "venv")
        packages, = (self.world / "venv").glob("lib/python3*/site-packages")
        if torch_is_the_users:
            settings = self.world / "venv" / "pyvenv.cfg"
            settings.write_text(settings.read_text().replace("packages = false", "packages = true"))
            users = self.world / "home" / ".local" / packages.relative_to(self.world / "venv")
            users.mkdir(parents=True)
            packages = (packages / "tests.pth").rename(users / "tests.pth").parent
        (packages / "sitecustomize.py").write_text(STAND_IN)
        return {**environment, **self.driver(), "SAGEBUILD_DATA_DIR": str(data)}

    def test_the_whole_with_functions_of_the_cpu(self):
        variables = self.stand_in(
            CHECK.format(function="right"), CHECK.format(function="off") + "arguments = {by = 0.05}\n", CHECK.format(function="killed"),
            CHECK.format(function="forges"),
            CHECK.format(function="right").replace("9.0", "8.0"), CHECK.format(function="right") + 'since = "1.1"\n',
            CHECK.format(function="right") + 'module = "_kernels"\n')
        settings = {name: "1" for name in ("CC", "LIBRARY_PATH", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "MINE",
                                           "TRITON_PTXAS_PATH", "NVIDIA_API_KEY", "TRITON_CACHE_DIR")}
        wheel = self.wheel(folder="fixture-1.0.data/purelib/")
        outcome = self.run_sagebuild("--json", "verify", wheel, "--gpu", "--recipe", "fixture", **variables,
                                     **settings, PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True")
        self.assertEqual(outcome.code, 5, outcome)
        self.assertNotIn("chatter", outcome.stdout + outcome.stderr)
        document = json.loads(outcome.stdout)
        gpu = document["gpu"]
        device = "NVIDIA Fake 1 CC LIBRARY_PATH CUDA_PATH NVIDIA_TF32_OVERRIDE PYTORCH_CUDA_ALLOC_CONF TRITON_PTXAS_PATH"
        self.assertEqual((gpu["name"], gpu["capability"], gpu["python"]), (device, "9.0", str(self.world / "venv/bin/python")))
        self.assertEqual([(row["outcome"], row["reason"], len(row["cases"])) for row in gpu["functions"]], [
            ("right", "", 4), ("wrong", "", 4),
            ("fails", "it ends Python: killed by signal 6 (Aborted) (at float16, HND, 4 heads, 977 x 977, head_dim 64, causal)", 1),
            ("fails", "its answer cannot be read", 1),
            ("left out", "it is not for 9.0 (H100, H200, GH200)", 0), ("left out", "the project has it since 1.1", 0),
            ("left out", "the wheel has no _kernels", 0)])
        self.assertGreater(gpu["functions"][0]["milliseconds"], 0)
        found = [(row["code"], row["severity"], row["subject"]) for row in document["findings"] if row["code"].startswith("SB15")]
        self.assertEqual(gpu["functions"][1]["arguments"], {"by": 0.05})
        self.assertEqual(found, [("SB151", "error", "fixture.killed"), ("SB151", "error", "fixture.forges"),
                                 ("SB152", "error", "fixture.off(by=0.05)"),
                                 ("SB153", "warning", device)])
        self.assertEqual(list((self.world / "tmp").iterdir()), [])

    def test_an_import_that_fails_is_told_once(self):
        wheel = make_wheel(self.world, "fixture-1.0-py3-none-linux_x86_64.whl", {"fixture/__init__.py": b"import nowhere",
                                                                                 "other/__init__.py": b""})
        recipe = self.world / "mine.toml"
        recipe.write_text(RECIPE + CHECK.format(function="right") * 2 + CHECK.format(function="right").replace('"fixture.', '"other.'))
        outcome = self.run_sagebuild("--json", "verify", wheel, "--gpu", "--recipe", recipe, **self.stand_in())
        document = json.loads(outcome.stdout)
        self.assertEqual([(row["subject"], row["message"]) for row in document["findings"] if row["code"] == "SB151"], [
            ("fixture", "its package cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
            ("other.right", "AttributeError: module 'other' has no attribute 'right'")])
        self.assertEqual([row["outcome"] for row in document["gpu"]["functions"]], ["fails", "left out", "fails"])

    def test_a_wheel_for_other_gpus_is_not_called(self):
        source = self.world / "kernel.cu"
        source.write_text("__global__ void kernel(int *x) { *x = 1; }\n")
        subprocess.run([tool("nvcc"), "-c", "-Xcompiler", "-fPIC", "-gencode=arch=compute_120,code=[sm_120,compute_120]", source, "-o",
                        self.world / "kernel.o"], check=True, capture_output=True)
        subprocess.run(["g++", "-shared", "-o", self.world / "kernel.so", self.world / "kernel.o"], check=True)
        wheel = self.wheel(**{"fixture/_kernel.so": (self.world / "kernel.so").read_bytes()})
        variables = self.stand_in(CHECK.format(function="right") * 2)
        outcome = self.run_sagebuild("verify", wheel, "--gpu", **variables)
        self.assertEqual(outcome.stdout.count("the wheel does not serve"), 1, outcome)
        outcome = self.run_sagebuild("--json", "verify", wheel, "--gpu", **variables)
        document = json.loads(outcome.stdout)
        self.assertEqual([row["outcome"] for row in document["gpu"]["functions"]], ["left out"] * 2)
        self.assertEqual([row["message"] for row in document["findings"] if row["code"] == "SB151"], [
            "none of its functions can be called: the wheel does not serve 9.0 (H100, H200, GH200): _kernel has only sm_120, compute_120"])

    def test_nothing_of_an_unsound_archive_is_run(self):
        wheel = make_wheel(self.world, "fixture-1.0-py3-none-linux_x86_64.whl", {"fixture/__init__.py": b"", "../outside.py": b""})
        outcome = self.run_sagebuild("verify", wheel, "--gpu", **self.stand_in(CHECK.format(function="right")))
        self.assertEqual(outcome.code, 5, outcome)
        self.assertIn("the archive is not sound: nothing in it is run", outcome.stderr)
        self.assertNotIn("NVIDIA Fake", outcome.stdout + outcome.stderr)

    def test_a_wheel_without_a_recipe_is_imported(self):
        outcome = self.run_sagebuild("verify", self.wheel("other"), "--gpu", **self.stand_in(torch_is_the_users=True))
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("NVIDIA Fake 0, compute capability 9.0; torch 9.9 for CUDA 13.0\n", outcome.stdout)
        self.assertIn("a recipe names some with [[gpu_check]]", outcome.stderr)
        self.assertIn("there is no extension module to import", outcome.stderr)


@support.require(gpu_is_here(), "no CUDA device")
class Minisage(support.EndToEnd):
    def test_its_functions_are_right_on_this_gpu(self):
        arguments = self.build_arguments(support.SOURCE / "examples" / "minisage", arch="native")
        built = self.start(*arguments).finish(3000)
        self.assertEqual(built.code, 0, built)
        outcome = self.run_sagebuild("--json", "verify", built.stdout.strip(), "--gpu", "--import", "--python", support.torch_python())
        functions = json.loads(outcome.stdout)["gpu"]["functions"]
        self.assertEqual({row["outcome"] for row in functions} - {"left out"}, {"right"}, outcome)
        self.assertGreater(functions[0]["sdpa_milliseconds"], 0)


if __name__ == "__main__":
    support.main()
