"""The facade's answers against torch's: the same functions compiled with torch's own classes and with the facade and its bridge,
asked the same questions. On the CPU: what needs a GPU must fail with the same words where there is none."""

import json
import os
import pathlib
import shutil
import subprocess
import textwrap

import support

OPS = """
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/extension.h>
bool has_stream() { return c10::cuda::getCurrentCUDAStream().stream() == nullptr; }
void guarded(torch::Tensor x) { c10::cuda::CUDAGuard guard(x.device()); }
void cuda_check() {
  cudaDeviceProp properties;
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, 99));
}
std::string describe(torch::Tensor x) {
  std::ostringstream out;
  out << x.defined() << x.is_cuda() << x.is_contiguous() << " " << x.dim() << " " << x.numel() << " " << x.size(0) << " " << x.size(-1)
      << " " << x.stride(0) << " " << x.stride(-1) << " " << x.sizes() << " " << x.strides() << " " << x.scalar_type() << " "
      << (x.dtype() == torch::kHalf) << (x.dtype() != torch::kFloat) << (x.dtype() == x.dtype()) << " " << x.sizes().size() << " "
      << (x.sizes() == torch::IntArrayRef({2, 3})) << " " << int(x.get_device()) << " " << sizeof(x.get_device()) << " " << x.device().is_cuda() << (x.device() == x.device());
  for (auto length : x.sizes()) out << " " << length;
  return out.str();
}
torch::Tensor make(torch::Tensor like, int64_t rows) { return torch::empty({rows, 2}, like.options().dtype(torch::kInt32)); }
torch::Tensor make_default(int64_t rows) { return torch::empty({rows}); }
torch::Tensor make_half(torch::Tensor like) { return torch::empty(like.sizes(), torch::TensorOptions(torch::kHalf).device(like.device())); }
torch::Tensor fill(torch::Tensor x) {
  float* p = x.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) p[i] = float(i);
  return x;
}
int64_t address(torch::Tensor x) { return reinterpret_cast<int64_t>(x.data_ptr()); }
torch::Tensor packed(const torch::Tensor& x) { return x.contiguous(); }
int64_t wrong_size(torch::Tensor x) { return x.size(7); }
void said(torch::Tensor x) { TORCH_CHECK(x.dim() == 9, "want 9, got ", x.dim(), " of ", x.sizes(), " ", x.scalar_type(), std::string("!")); }
void literal(torch::Tensor x) { TORCH_CHECK(x.dim() == 9, "want nine"); }
void unsaid(torch::Tensor x) { if (x.dim() > 0) TORCH_CHECK(x.dim() == 9); }
void passes(torch::Tensor x) { TORCH_CHECK(x.defined(), "undefined") }
bool undefined() { torch::Tensor none; return none.defined(); }
std::tuple<torch::Tensor, torch::Tensor> handed_on(torch::Tensor a, const torch::Tensor& b) {
  std::vector<torch::Tensor> kept = {a, b};
  kept.push_back(std::move(a));
  torch::Tensor first, second;
  first = kept[2];
  second = std::move(kept[1]);
  kept.clear();
  std::optional<torch::Tensor> maybe = first;
  first = first;
  return {*maybe, second};
}
"""
NAMES = ["describe", "make", "make_default", "make_half", "fill", "address", "packed", "wrong_size", "said", "literal", "unsaid", "passes",
         "undefined", "handed_on", "has_stream", "guarded", "cuda_check"]
DECLARATIONS = """
bool has_stream();
void guarded(torch::Tensor x);
void cuda_check();
std::string describe(torch::Tensor x);
torch::Tensor make(torch::Tensor like, int64_t rows);
torch::Tensor make_default(int64_t rows);
torch::Tensor make_half(torch::Tensor like);
torch::Tensor fill(torch::Tensor x);
int64_t address(torch::Tensor x);
torch::Tensor packed(const torch::Tensor& x);
int64_t wrong_size(torch::Tensor x);
void said(torch::Tensor x);
void literal(torch::Tensor x);
void unsaid(torch::Tensor x);
void passes(torch::Tensor x);
bool undefined();
std::tuple<torch::Tensor, torch::Tensor> handed_on(torch::Tensor a, const torch::Tensor& b);
"""
QUESTIONS = """
import json, resource, torch, ops
def answer(function, *arguments):
    try:
        result = function(*arguments)
    except Exception as error:
        return [type(error).__name__, str(error).splitlines()[0].partition(" (function ")[0]]
    one = lambda x: [str(x.dtype), list(x.shape), list(x.stride()), str(x.device), x.requires_grad] if isinstance(x, torch.Tensor) else x
    return [one(x) for x in result] if isinstance(result, tuple) else one(result)
answers = []
inputs = [torch.zeros(2, 3), torch.zeros(2, 3).t(), torch.zeros(4, 0, dtype=torch.half), torch.zeros(2, 3, 5, dtype=torch.bfloat16)[:, 1:],
          torch.zeros(3, dtype=torch.int8), torch.zeros(2, 2, dtype=torch.float8_e4m3fn), torch.zeros(2, 3, requires_grad=True)]
for x in inputs:
    answers += [answer(ops.describe, x), answer(ops.make, x, 3), answer(ops.make_half, x), answer(ops.packed, x), answer(ops.wrong_size, x)]
    answers += [answer(check, x) for check in (ops.said, ops.literal, ops.unsaid, ops.passes)]
    answers.append(answer(ops.handed_on, x, inputs[0]))
    assert ops.address(x) == x.data_ptr() and ops.packed(x).is_contiguous()
answers += [answer(ops.has_stream), answer(ops.guarded, inputs[0]), answer(ops.cuda_check)]
assert torch.cuda.is_available() or all(isinstance(said, list) for said in answers[-3:]), answers[-3:]
answers += [answer(ops.make_default, 4), answer(ops.make_default, -1), answer(ops.undefined), ops.fill(torch.zeros(2, 2)).tolist(),
            answer(ops.fill, inputs[4]), answer(ops.make, torch.zeros(2, 2).to_sparse(), 3)[0] in ("RuntimeError", "torch.int32")]
a, b = ops.handed_on(inputs[0], inputs[1])
assert a.data_ptr() == inputs[0].data_ptr() and b.data_ptr() == inputs[1].data_ptr()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(3000):  # 12 GB, were one reference lost
    big = torch.empty(1 << 20)
    ops.handed_on(big, big), ops.packed(big), ops.make(big, 1 << 19), answer(ops.said, big)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
print(json.dumps(answers))
"""


class Facade(support.EndToEnd):
    def compiler(self):
        told = subprocess.run([support.torch_python(), "-c", textwrap.dedent("""\
            import json, os, sysconfig, torch
            from torch.utils import cpp_extension as c
            print(json.dumps([c.include_paths(), sysconfig.get_paths()["include"], os.path.join(os.path.dirname(torch.__file__), "lib"),
                              torch.compiled_with_cxx11_abi()]))""")], check=True, capture_output=True, text=True)
        torch_folders, python, libraries, abi = json.loads(told.stdout.splitlines()[-1])
        packages = sorted(support.torch_packages().glob("nvidia/cu*/include"))
        toolkit = packages[-1] if packages else pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "include")
        options = ["g++", "-std=c++20", "-O1", "-fPIC", "-w", f"-D_GLIBCXX_USE_CXX11_ABI={int(abi)}", "-DTORCH_EXTENSION_NAME=ops"]
        return options, [f"-I{folder}" for folder in [*torch_folders, python, toolkit]], libraries

    def test_the_facade_answers_as_torch_does(self):
        headers = support.SOURCE / "patches" / "headers"
        options, folders, libraries = self.compiler()
        (self.world / "ops.cpp").write_text(OPS)
        bindings = "\n".join(f'm.def("{name}", &{name});' for name in NAMES)
        (self.world / "bind.cpp").write_text(f"#include <torch/extension.h>\n{DECLARATIONS}PYBIND11_MODULE(ops, m) {{ {bindings} }}\n")

        def compile_one(source, name, *first):
            subprocess.run([*options, *first, *folders, "-c", source, "-o", self.world / name], check=True)

        compile_one(self.world / "bind.cpp", "bind.o", f"-I{headers}/binding")
        compile_one(self.world / "ops.cpp", "torch.o", f"-I{headers}/lean")
        compile_one(self.world / "ops.cpp", "facade.o", f"-I{headers}/facade")
        compile_one(headers / "bridge" / "torch_bridge.cpp", "bridge.o")
        self.assertNotIn("sagebuild_bridge", self.symbols("torch.o"))
        self.assertIn("sagebuild_bridge", self.symbols("facade.o"))
        answers = {}
        for kind, objects in (("torch", ["torch.o"]), ("facade", ["facade.o", "bridge.o"])):
            folder = self.world / kind
            folder.mkdir()
            subprocess.run(["g++", "-shared", "bind.o", *objects, f"-L{libraries}", "-lc10", "-ltorch_cpu", "-ltorch_python", "-lc10_cuda",
                            "-ltorch_cuda", "-o", folder / "ops.so"], check=True, cwd=self.world)
            done = subprocess.run([support.torch_python(), "-c", QUESTIONS], cwd=folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            answers[kind] = json.loads(done.stdout)
        self.assertEqual(answers["facade"], answers["torch"])
        exported = subprocess.run(["nm", "-D", "--defined-only", self.world / "facade" / "ops.so"], check=True, capture_output=True, text=True)
        self.assertNotIn("sagebuild", exported.stdout)

    def symbols(self, name):
        return subprocess.run(["nm", self.world / name], check=True, capture_output=True, text=True).stdout

    def test_a_torch_that_the_bridge_does_not_fit(self):
        """Compiles do not wait for the bridge, and objects in the cache may need it: they are made again, their device code is not."""
        launcher = (support.SOURCE / "tests/e2e/packages/tiny/csrc/kernel.cu").read_text()
        package = support.tiny_package(self.world / "tiny", kernel="#include <torch/extension.h>\n" + launcher +
                                       "int64_t length_of(torch::Tensor x) { return x.contiguous().numel(); }\n")
        first = self.build(package)
        self.assertEqual(first.code, 0, first)
        wheel, = self.out.glob("*.whl")
        wheel.unlink()
        shutil.copytree(support.SOURCE / "patches", self.world / "data" / "patches")
        (self.world / "data/patches/headers/bridge/torch_bridge.cpp").write_text("#error another torch\n")
        trace = self.world / "trace.json"
        again = self.build(package, "--timeline", trace, SAGEBUILD_DATA_DIR=str(self.world / "data"))
        self.assertEqual(again.code, 0, again)
        self.assertIn("bridge does not compile", again.stderr)
        steps = [event["args"] for event in json.loads(trace.read_text())["traceEvents"] if event["ph"] == "X"]
        ran = {step["kind"] for step in steps if not step["cached"]}
        self.assertLessEqual({"cudafe++", "host compile", "link"}, ran)
        self.assertFalse(ran & {"cicc", "ptxas"}, ran)
        subprocess.run([support.torch_python(), "-m", "zipfile", "-e", wheel, self.world / "tree"], check=True)
        done = subprocess.run([support.torch_python(), "-c", "import torch, tiny._kernel as k; print(k.answer())"], cwd=self.world / "tree",
                              capture_output=True, text=True, env={**self.environment, "LD_BIND_NOW": "1"})
        self.assertEqual((done.returncode, done.stdout), (0, "42\n"), done.stderr)


if __name__ == "__main__":
    support.main()
