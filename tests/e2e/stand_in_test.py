"""Headers that stand in for torch's may not change what a source means: small sources made to show
a difference where there is one. The answers are those of torch's own headers, and the device code
too, or the source got them and the program says why."""

import json
import os
import struct
import subprocess
import zipfile

import gpu_images
import same_kernels
import support

SETUP = """
import os
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension
outside = "@OUTSIDE@"
options = {"cxx": ["-O1", "-w"], "nvcc": ["-O1", "-w", "--no-compress"]}
names = @NAMES@
setup(name="shapes", version="1.0", cmdclass={"build_ext": BuildExtension},
      ext_modules=[CUDAExtension("shapes_" + name, sources, include_dirs=[outside],
                                 extra_compile_args=options)
                   for name, sources in names.items()])
"""
# Between two files, one of them with torch's own classes: what name mangling does not see.
CROSS_H = """
#pragma once
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
struct Launch {
  at::TensorOptions options;
  char tag;
  c10::cuda::CUDAStream stream;
  float scale;
  at::Device device;
  unsigned char last;
};
template <class T> struct Boxed { T value; int behind; };
int first(const Launch& launch);
float second(const Launch& launch);
int third(const Launch& launch);
at::TensorOptions options_from(const at::Tensor& x);
at::Device device_from(const at::Tensor& x);
Boxed<at::Device> boxed_from(const at::Tensor& x);
int64_t rows_on(at::Device device, at::Tensor x);
int sum_of(at::IntArrayRef sizes, at::ScalarType type);
int halved(int x);
"""
CROSS_CU = """
#include "cross.h"
template <int N>
__host__ __device__ inline int half_of(int x) {
  TORCH_CHECK(x % 2 == 0, "odd: ", x);
  return x / 2 + N - N;
}
__global__ void fill(float* p) { *p = half_of<int(sizeof(at::TensorOptions))>(int(*p)); }
int first(const Launch& launch) { return launch.tag; }
float second(const Launch& launch) { return launch.scale; }
int third(const Launch& launch) { return launch.last; }
at::TensorOptions options_from(const at::Tensor& x) { return x.options(); }
at::Device device_from(const at::Tensor& x) { return x.device(); }
Boxed<at::Device> boxed_from(const at::Tensor& x) { return {x.device(), 77}; }
int64_t rows_on(at::Device device, at::Tensor x) {
  if (device.is_cuda()) fill<<<1, 1>>>(x.data_ptr<float>());
  return x.size(0);
}
int sum_of(at::IntArrayRef sizes, at::ScalarType type) {
  int sum = int(type);
  for (auto size : sizes) sum += size;
  return sum;
}
int halved(int x) { return half_of<0>(x); }
"""
CROSS_CPP = """
#include "cross.h"
#include <sstream>
Launch launch() {
  const c10::Stream stream(c10::Stream::UNSAFE, c10::Device(c10::kCUDA, 3), 1 << 20);
  return {at::TensorOptions(), 'x', c10::cuda::CUDAStream(c10::cuda::CUDAStream::UNCHECKED, stream),
          0.125f, at::Device(at::kCUDA, 2), 200};
}
std::string options(const at::Tensor& x) {
  const at::TensorOptions o = options_from(x);
  std::ostringstream out;
  out << o.dtype() << " " << o.device() << " " << o.has_dtype() << o.has_device()
      << o.has_layout() << o.pinned_memory() << o.requires_grad();
  return out.str();
}
std::string device(const at::Tensor& x) {
  const auto boxed = boxed_from(x);
  return device_from(x).str() + boxed.value.str() + std::to_string(boxed.behind);
}
int version() {
#if TORCH_VERSION_MAJOR >= 2
  return 2;
#else
  return 1;
#endif
}
int dispatch() {
#ifdef AT_DISPATCH_SWITCH
  return 222;
#else
  return 111;
#endif
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("first", [] { return first(launch()); });
  m.def("second", [] { return second(launch()); });
  m.def("third", [] { return third(launch()); });
  m.def("options", &options);
  m.def("device", &device);
  m.def("rows", [](at::Tensor x) { return rows_on(x.device(), x); });
  m.def("sum_of", [](at::Tensor x) { return sum_of(x.sizes(), x.scalar_type()); });
  m.def("halved", &halved);
  m.def("version", &version);
  m.def("dispatch", &dispatch);
}
"""
CROSS_QUESTIONS = """
import json, torch, shapes_cross as m
x = torch.zeros(3, 5, dtype=torch.float64)
try:
    refused = m.halved(3)
except RuntimeError as error:
    refused = str(error).splitlines()[0].partition(" (function ")[0]
print(json.dumps([m.first(), m.second(), m.third(), m.options(x), m.device(x), m.rows(x),
                  m.sum_of(x), m.halved(8), refused, m.version(), m.dispatch()]))
"""
CROSS_ANSWERS = [ord("x"), 0.125, 200, "double cpu 11100", "cpucpu77", 3, 15, 4, "odd: 3", 2, 222]

# This header, in a folder of its own, and the sources below ask for a macro of torch's that no
# stand-in defines.
SETTINGS_H = """
#pragma once
#ifdef @MACRO@
#define SETTING 222
#else
#define SETTING 111
#endif
"""
# What is asked in the pass of one architecture of several.
ARCH_CU = """
#include <@HEADER@>
__global__ void fill(float* p) {
#if __CUDA_ARCH__ >= 900
#ifdef @MACRO@
  *p = 222.125f;
#else
  *p = 111.125f;
#endif
#else
  *p = 333.125f;
#endif
}
extern "C" __attribute__((visibility("default"))) int go() {
  fill<<<1, 1>>>(nullptr);
  return 1;
}
"""
# What the host's pass alone asks.
HOST_CU = """
#include <@HEADER@>
__global__ void fill(float* p) { *p = 1; }
#ifndef __CUDA_ARCH__
#ifdef @MACRO@
static int value() { return 222; }
#else
static int value() { return 111; }
#endif
#else
static int value() { return 0; }
#endif
extern "C" __attribute__((visibility("default"))) int go() {
  if (0) fill<<<1, 1>>>(nullptr);
  return value();
}
"""
OUTSIDE_CU = """
#include <@HEADER@>
#include "settings.h"
__global__ void fill(float* p) { *p = SETTING; }
extern "C" __attribute__((visibility("default"))) int go() {
  if (0) fill<<<1, 1>>>(nullptr);
  return SETTING;
}
"""
GO = """
import ctypes, glob, json, torch
go = lambda name: ctypes.CDLL(glob.glob(f"./shapes_{name}.*.so")[0], mode=2).go()
print(json.dumps({name: go(name) for name in ("arch", "host", "outside")}))
"""

RACE = """
#ifndef __CUDA_ARCH__
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <vector>
#define LATER 0.0f
#else
// Device code that takes its compiler about as long as the headers above take the host's.
template <int A, int B> constexpr int row = row<A, B - 1> ^ (A * B + 1);
template <int A> constexpr int row<A, 0> = A;
template <int A> constexpr int rows = rows<A - 1> + row<A, 140>;
template <> constexpr int rows<0> = 0;
#define LATER (rows<180> == 5 ? 1.0f : 0.0f)
#endif
__global__ void fill(float* p) { *p = @VALUE@ + LATER; }
extern "C" __attribute__((visibility("default"))) int go() {
  fill<<<1, 1>>>(nullptr);
  return 1;
}
"""


class Shapes(support.EndToEnd):
    def project(self, modules, macro, header):
        """A project without a recipe: module -> {source: text}."""
        outside, folder = self.world / "outside", self.world / "project"
        outside.mkdir()
        folder.mkdir()

        def fill(text):
            return text.lstrip().replace("@MACRO@", macro).replace("@HEADER@", header)

        (outside / "settings.h").write_text(fill(SETTINGS_H))
        for sources in modules.values():
            for source, text in sources.items():
                (folder / source).write_text(fill(text))
        names = {module: [source for source in sources if not source.endswith(".h")]
                 for module, sources in modules.items()}
        setup = SETUP.lstrip().replace("@OUTSIDE@", str(outside)).replace("@NAMES@", repr(names))
        (folder / "setup.py").write_text(setup)
        return folder

    def made(self, project, *more, arch="8.9", name="made"):
        """The folder of the unpacked wheel, and source -> (mode, reason)."""
        arguments = self.build_arguments(project, "--json", *more, arch=arch)
        outcome = self.start(*arguments).finish(3600)
        self.assertEqual(outcome.code, 0, outcome)
        document = json.loads(outcome.stdout)
        folder = self.world / name
        with zipfile.ZipFile(document["wheel"]) as archive:
            archive.extractall(folder)
        modes = {row["source"].split()[-1]: (row["mode"], row["reason"])
                 for row in document["sources"]}
        return folder, modes, outcome

    def asked(self, folder, questions):
        done = subprocess.run([support.torch_python(), "-c", questions], cwd=folder,
                              capture_output=True, text=True,
                              env={**self.environment, "LD_BIND_NOW": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_answers(self, folder):
        self.assertEqual(self.asked(folder, CROSS_QUESTIONS), CROSS_ANSWERS)
        self.assertEqual(self.asked(folder, GO), {"arch": 1, "host": 222, "outside": 222})
        data = next(folder.glob("shapes_arch.*.so")).read_bytes()
        there = {value for value in (111.125, 222.125, 333.125) if struct.pack("<f", value) in data}
        self.assertEqual(there, {222.125, 333.125}, "the constants in the device code")


CROSS = {"cross.h": CROSS_H, "cross.cu": CROSS_CU, "bind.cpp": CROSS_CPP}
MODULES = {"cross": CROSS, "arch": {"arch.cu": ARCH_CU}, "host": {"host.cu": HOST_CU},
           "outside": {"outside.cu": OUTSIDE_CU}}
# With `--headers facade`: what fits, and what asks for a macro that the stand-ins do not have.
MODES = {"cross.cu": "facade headers", "bind.cpp": "full headers", "arch.cu": "full headers",
         "host.cu": "facade device, full host headers", "outside.cu": "full headers"}


class Facade(Shapes):
    def test_without_a_recipe_torchs_own_headers_are_used(self):
        project = self.project(MODULES, "TORCH_VERSION_MAJOR", "torch/extension.h")
        for more, full in (((), 5), (("--headers", "facade"), 0)):
            _, *arguments = self.build_arguments(project, "--json", *more)
            outcome = self.run_sagebuild("plan", *arguments)
            self.assertEqual(outcome.code, 0, outcome)
            modules = json.loads(outcome.stdout)["modules"]
            rows = [row for module in modules for row in module["sources"]]
            self.assertEqual(len(rows), 5, outcome)
            self.assertEqual(sum(row["mode"] == "full headers" for row in rows), full, outcome)

    def test_answers_are_torchs(self):
        """What asks for torch's macros includes a small header of torch's, to be fast."""
        macro = "C10_CUDA_ERROR_HANDLED"
        project = self.project(MODULES, macro, "c10/cuda/CUDAException.h")
        folder, modes, outcome = self.made(project, "--headers", "facade", arch="8.9 9.0")
        self.assert_answers(folder)
        self.assertEqual({source: mode for source, (mode, _) in modes.items()}, MODES, outcome)
        reasons = {source: reason for source, (_, reason) in modes.items()}
        self.assertEqual(reasons.pop("cross.cu"), "", outcome)
        self.assertRegex(reasons.pop("bind.cpp"), "^macro '(AT_DISPATCH_SWITCH|TORCH_VERSION)")
        for reason in reasons.values():
            self.assertRegex(reason, f"^macro '{macro}'", outcome)


class Race(Shapes):
    """An object that the cache gives may not hold the image of another build."""

    def test_the_module_registers_the_image_of_its_source(self):
        project = self.project({"race": {"race.cu": ""}}, "", "")
        values = {"one": 222.125, "two": 111.125, "three": 222.125}
        for name, value in values.items():
            (project / "race.cu").write_text(RACE.lstrip().replace("@VALUE@", f"{value}f"))
            folder, _, outcome = self.made(project, name=name)
            module, = folder.glob("*.so")
            registered = gpu_images.registered(module)
            self.assertEqual(registered, [["sm_89"]], outcome)
            self.assertEqual(gpu_images.all_images(module), ["sm_89"], "the images in the module")
            code = module.read_bytes()
            there = {value for value in values.values() if struct.pack("<f", value) in code}
            self.assertEqual(there, {value}, outcome)


# What the class has for others decides here, and no macro and no device code tells.
DETECTED_CU = """
#include <c10/cuda/CUDAStream.h>
template <class T> constexpr bool packs(decltype(&T::pack3)) { return true; }
template <class T> constexpr bool packs(...) { return false; }
__global__ void nothing() {}
extern "C" __attribute__((visibility("default"))) int go() {
  nothing<<<1, 1>>>();
  return packs<c10::cuda::CUDAStream>(nullptr) ? 222 : 111;
}
"""
# Declared by torch/extension.h, and not by the stand-in for the files that bind.
DETECTED_CPP = """
#include <torch/extension.h>
template <class T> constexpr auto can_relu(int) -> decltype(relu(std::declval<T>()), true) {
  return true;
}
template <class T> constexpr bool can_relu(...) { return false; }
extern "C" __attribute__((visibility("default"))) int go() {
  return can_relu<at::Tensor>(0) ? 222 : 111;
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("go", &go); }
"""
GO_ALONE = """
import ctypes, glob, json, torch
print(json.dumps([ctypes.CDLL(glob.glob("./shapes_found.*.so")[0]).go()]))
"""


class Proof(Shapes):
    """`--headers check` compares the functions of the host, too."""

    def check(self, source, text, *more):
        project = self.project({"found": {source: text}}, "", "")
        folder, modes, outcome = self.made(project, "--headers", "check", *more)
        mode, reason = modes[source]
        self.assertEqual(self.asked(folder, GO_ALONE), [222], outcome)
        self.assertEqual(reason, "function 'go' has other instructions", outcome)
        return mode

    def test_a_cuda_source(self):
        self.assertEqual(self.check("found.cu", DETECTED_CU), "facade device, full host headers")


class ProofCxx(Proof):
    """With torch/extension.h."""

    def test_a_cxx_source(self):
        self.assertEqual(self.check("found.cpp", DETECTED_CPP, "--allow-cpu"), "full headers")


class Full(Shapes):
    """With torch/extension.h everywhere, which takes minutes, against `--headers full`."""

    def test_full_headers_give_the_same(self):
        project = self.project(MODULES, "TORCH_VERSION_MAJOR", "torch/extension.h")
        ours, modes, _ = self.made(project, "--headers", "facade", arch="8.9 9.0", name="ours")
        ours_wheel, = self.out.glob("*.whl")
        ours_wheel = ours_wheel.rename(self.world / "ours" / ours_wheel.name)
        torchs, _, _ = self.made(project, "--headers", "full", "--no-cache", arch="8.9 9.0",
                                 name="torchs")
        torchs_wheel, = self.out.glob("*.whl")
        for folder in (ours, torchs):
            self.assert_answers(folder)
        programs = support.torch_packages() / "triton" / "backends" / "nvidia" / "bin"
        os.environ.setdefault("CUOBJDUMP", str(programs / "cuobjdump"))
        told, differences = same_kernels.compare(ours_wheel, torchs_wheel)
        print("\n".join(told))
        self.assertEqual(differences, 0)
        self.assertEqual({source: mode for source, (mode, _) in modes.items()}, MODES)


if __name__ == "__main__":
    support.main()
