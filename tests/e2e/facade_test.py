"""The facade's answers against torch's: the same functions compiled with torch's own classes and with the facade and its bridge,
asked the same questions, and handing objects to a file that has torch's own headers and taking them from it. On the CPU: what
needs a GPU must fail with the same words where there is none."""

import json
import os
import pathlib
import re
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
torch::Tensor let_through(torch::Tensor x) { return x; }
void copied(torch::Tensor to, const torch::Tensor& from) {
  let_through(to) = from;
  let_through(to) = let_through(from);
}
torch::Tensor made_channels_last(torch::Tensor like) { return torch::empty({1, 2, 3, 4}, like.options(), at::MemoryFormat::ChannelsLast); }

// What crosses to bind.cpp, which has torch's own headers.
#include "shared.h"
at::TensorOptions options_of(const at::Tensor& x) { return x.options(); }
at::Device device_of(const at::Tensor& x) { return x.device(); }
caffe2::TypeMeta type_of(const at::Tensor& x) { return x.dtype(); }
at::IntArrayRef sizes_of(const at::Tensor& x) { return x.sizes(); }
at::TensorOptions options_in(const Crossing& it) { return it.options; }
c10::cuda::CUDAStream stream_in(const Crossing& it) { return it.stream; }
at::Device device_in(const Crossing& it) { return it.device; }
caffe2::TypeMeta type_in(const Crossing& it) { return it.type; }
at::IntArrayRef sizes_in(const Crossing& it) { return it.sizes; }
at::Tensor tensor_in(const Crossing& it) { return it.tensor; }
Crossing made_there(const at::Tensor& x, c10::cuda::CUDAStream stream) {
  return {x.options().dtype(at::kShort), 'a', stream, 0.5f, at::Device(at::kCUDA, 5), 'b', x.dtype(), 'c', x.sizes(), 'd', x, 'e'};
}
std::string text_of(at::TensorOptions o) {
  std::ostringstream out;
  out << int(o.dtype().toScalarType()) << " " << int(o.device().type()) << ":" << int(o.device().index()) << " " << int(o.layout()) << " "
      << o.requires_grad() << o.pinned_memory() << " has " << o.has_device() << o.has_dtype() << o.has_layout() << o.has_requires_grad()
      << o.has_pinned_memory() << o.has_memory_format() << " " << (o.memory_format_opt() ? int(*o.memory_format_opt()) : -1);
  return out.str();
}
std::string text_in(const Crossing& it) {
  caffe2::TypeMeta type = it.type;
  std::ostringstream out;
  out << text_of(it.options) << "|" << it.tag << "|" << it.stream << " " << int(it.stream.device_index()) << " " << it.stream.id() << " "
      << (it.stream == it.stream) << (it.stream != it.stream) << "|" << it.scale << "|" << int(it.device.type()) << ":"
      << int(it.device.index()) << "|" << it.second << "|" << int(type.toScalarType()) << "|" << it.third << "|" << it.sizes << "|"
      << it.fourth << "|" << it.tensor.sizes() << "|" << it.fifth;
  return out.str();
}
std::string by_value(at::Device device, caffe2::TypeMeta type, at::TensorOptions options, c10::cuda::CUDAStream stream, at::IntArrayRef sizes,
                     at::Tensor tensor, int last) {
  return text_in({options, 'p', stream, 1, device, 'q', type, 'r', sizes, 's', tensor, 't'}) + std::to_string(last);
}
std::string behind(const Behind& it) { return text_of(it) + it.tag; }

std::vector<std::string> built(torch::Tensor x) {
  at::TensorOptions none, from_type(at::kHalf), from_meta(x.dtype()), from_device(at::Device(at::kCUDA, 2)), from_number(at::kCUDA),
      from_text("cuda:3"), from_layout(at::kSparse), from_format(at::MemoryFormat::ChannelsLast), braced({at::kCUDA, 4});
  std::vector<std::string> all;
  for (auto options : {none, from_type, from_meta, from_device, from_number, from_text, from_layout, from_format, braced}) {
    all.push_back(text_of(options));
    all.push_back(text_of(options.requires_grad(true).pinned_memory(true).layout(at::kStrided)));
    all.push_back(text_of(options.dtype(std::optional<at::ScalarType>()).device(std::optional<at::Device>()).layout(std::nullopt)));
    all.push_back(text_of(options.requires_grad(false).memory_format(at::MemoryFormat::Preserve).device(at::kCPU).device("cuda:1")));
    all.push_back(text_of(options.dtype<double>()));
  }
  caffe2::TypeMeta type = x.dtype();
  all.push_back(std::to_string(type.itemsize()) + std::to_string(type.isScalarType()) + std::to_string(type.isScalarType(at::kFloat)));
  type = at::kLong;
  all.push_back(std::to_string(type == at::kLong) + std::to_string(at::kLong != type) + std::to_string(caffe2::TypeMeta() == type) +
                std::to_string(x.dtype() == type) + std::to_string(type.itemsize()));
  at::Device device("cuda:6");
  device.set_index(7);
  all.push_back(std::to_string(device.index()) + std::to_string(device.has_index()) + std::to_string(device.is_cpu()) +
                std::to_string(device == at::Device(at::kCUDA, 7)) + std::to_string(device != x.device()));
  std::vector<int64_t> list = {4, 5};
  std::array<int64_t, 3> fixed = {1, 2, 3};
  int64_t plain[] = {6, 7};
  auto text = [&](at::IntArrayRef of) { all.push_back(std::to_string(of.size()) + (of.data() ? "" : "null")); for (auto i : of) all.push_back(std::to_string(i)); };
  text(list), text(fixed), text(plain), text(plain[1]), text({}), text({1, 2}), text({plain, plain + 1});
  return all;
}
void unparsed() { at::Device("no such device"); }

template <class T>
void tell(std::vector<long>& all) {
  all.insert(all.end(), {long(sizeof(T)), long(alignof(T)), std::is_trivially_copyable<T>::value, std::is_trivially_destructible<T>::value,
                         std::is_trivially_copy_constructible<T>::value, std::is_standard_layout<T>::value,
                         std::is_default_constructible<T>::value, std::is_copy_constructible<T>::value, std::is_move_constructible<T>::value,
                         std::is_nothrow_move_constructible<T>::value, std::is_copy_assignable<T>::value, std::is_nothrow_copy_assignable<T>::value,
                         std::is_nothrow_move_assignable<T>::value, std::is_assignable<T, T>::value, std::is_assignable<T, const T&>::value,
                         std::is_nothrow_destructible<T>::value, std::is_convertible<T, bool>::value, std::is_convertible<T, void*>::value,
                         std::is_convertible<T, at::TensorOptions>::value, std::is_convertible<T, at::Device>::value,
                         std::is_convertible<T, at::IntArrayRef>::value, std::is_convertible<T, at::Tensor>::value,
                         std::is_constructible<T, at::Device>::value, std::is_constructible<T, at::DeviceType>::value,
                         std::is_constructible<T, at::DeviceType, int>::value, std::is_constructible<T, at::ScalarType>::value,
                         std::is_constructible<T, caffe2::TypeMeta>::value, std::is_constructible<T, at::Layout>::value,
                         std::is_constructible<T, at::MemoryFormat>::value, std::is_constructible<T, std::string>::value,
                         std::is_constructible<T, const char*>::value, std::is_constructible<T, long>::value, std::is_constructible<T, bool>::value,
                         std::is_constructible<T, cudaStream_t>::value,
                         std::is_constructible<T, std::vector<long>>::value, std::is_constructible<T, std::vector<int>>::value,
                         std::is_constructible<T, std::array<long, 2>>::value, std::is_constructible<T, std::initializer_list<long>>::value,
                         std::is_convertible<long, T>::value, std::is_convertible<signed char, T>::value, std::is_convertible<std::string, T>::value,
                         std::is_convertible<at::ScalarType, T>::value, std::is_convertible<at::DeviceType, T>::value,
                         std::is_convertible<at::Device, T>::value, std::is_convertible<std::vector<long>, T>::value,
                         std::is_assignable<T&, std::vector<long>>::value, std::is_assignable<T&, long>::value,
                         std::is_assignable<T&, at::ScalarType>::value, std::is_assignable<T&, at::Device>::value});
}
std::vector<long> traits() {
  std::vector<long> all;
  tell<at::Tensor>(all), tell<at::IntArrayRef>(all), tell<at::Device>(all), tell<at::TensorOptions>(all), tell<caffe2::TypeMeta>(all);
  tell<c10::cuda::CUDAStream>(all), tell<c10::cuda::CUDAGuard>(all), tell<at::ScalarType>(all), tell<at::DeviceType>(all), tell<at::Layout>(all);
  tell<at::MemoryFormat>(all), tell<Crossing>(all), tell<Behind>(all);
  const at::Tensor x;
  at::TensorOptions o;
  all.insert(all.end(), {std::is_convertible<c10::cuda::CUDAStream, cudaStream_t>::value, std::is_same<decltype(x.get_device()), signed char>::value,
                         std::is_same<decltype(x.dtype()), caffe2::TypeMeta>::value, std::is_same<decltype(x.is_contiguous()), bool>::value,
                         std::is_same<decltype(x.data_ptr<float>()), float*>::value, std::is_same<decltype(o.dtype<float>()), at::TensorOptions&>::value,
                         std::is_same<decltype(x.sizes().begin()), const long*>::value, std::is_same<at::IntArrayRef::value_type, long>::value,
                         std::is_same<at::DeviceIndex, signed char>::value, noexcept(o.dtype()), noexcept(o.device()), noexcept(x.device().index())});
  return all;
}
// Not so from torch 2.14 on.
bool copies_may_throw() { return !std::is_nothrow_copy_constructible<at::Tensor>::value && !std::is_nothrow_default_constructible<at::TensorOptions>::value; }
"""
SHARED = """
#pragma once
#include <c10/cuda/CUDAStream.h>
struct Crossing {
  at::TensorOptions options;
  char tag;
  c10::cuda::CUDAStream stream;
  float scale;
  at::Device device;
  char second;
  caffe2::TypeMeta type;
  char third;
  at::IntArrayRef sizes;
  char fourth;
  at::Tensor tensor;
  char fifth;
};
struct Behind : at::TensorOptions {  // whose byte lies in the padding of torch's class
  char tag;
};
at::TensorOptions options_of(const at::Tensor& x);
at::Device device_of(const at::Tensor& x);
caffe2::TypeMeta type_of(const at::Tensor& x);
at::IntArrayRef sizes_of(const at::Tensor& x);
at::TensorOptions options_in(const Crossing& it);
c10::cuda::CUDAStream stream_in(const Crossing& it);
at::Device device_in(const Crossing& it);
caffe2::TypeMeta type_in(const Crossing& it);
at::IntArrayRef sizes_in(const Crossing& it);
at::Tensor tensor_in(const Crossing& it);
Crossing made_there(const at::Tensor& x, c10::cuda::CUDAStream stream);
std::string text_in(const Crossing& it);
std::string by_value(at::Device device, caffe2::TypeMeta type, at::TensorOptions options, c10::cuda::CUDAStream stream, at::IntArrayRef sizes,
                     at::Tensor tensor, int last);
std::string behind(const Behind& it);
"""
# In bind.cpp: what it hands over and what it makes of what comes back, always with torch's own classes.
CROSSED = """
std::string say(const at::TensorOptions& o) {
  std::ostringstream out;
  out << o << " has " << o.has_device() << o.has_dtype() << o.has_layout() << o.has_requires_grad() << o.has_pinned_memory();
  return out.str();
}
std::vector<std::string> crossed(const at::Tensor& x) {
  const c10::cuda::CUDAStream stream(c10::cuda::CUDAStream::UNCHECKED, c10::Stream(c10::Stream::UNSAFE, c10::Device(c10::kCUDA, 3), 1 << 20));
  Crossing it{x.options().requires_grad(true).pinned_memory(true), 'x', stream, 0.125f, c10::Device(c10::kMeta, 9), 'y',
              caffe2::TypeMeta::Make<at::Half>(), 'z', x.sizes(), 'u', x, 'v'};
  const auto back = made_there(x, stream);
  Behind last;
  static_cast<at::TensorOptions&>(last) = it.options;
  last.tag = 'w';
  std::vector<std::string> all = {text_in(it), text_in(back), behind(last), by_value(it.device, it.type, it.options, stream, it.sizes, x, 123)};
  std::ostringstream out;
  out << say(options_of(x)) << "|" << device_of(x) << "|" << type_of(x) << "|" << sizes_of(x) << "|" << say(options_in(it)) << "|"
      << stream_in(it) << "|" << device_in(it) << "|" << type_in(it) << "|" << sizes_in(it) << "|" << tensor_in(it).is_same(x) << "|"
      << say(back.options) << "|" << back.tag << "|" << back.stream << "|" << back.scale << "|" << back.device << "|" << back.second << "|"
      << back.type << "|" << back.third << "|" << back.sizes << "|" << back.fourth << "|" << back.tensor.is_same(x) << "|" << back.fifth;
  all.push_back(out.str());
  return all;
}
"""
CHECKS = """
#include <c10/cuda/CUDAException.h>
__device__ int counter;
__host__ __device__ int count(int x) {
#ifdef __CUDA_ARCH__
  return atomicAdd(&counter, x);
#else
  return x;
#endif
}
__host__ __device__ inline float bare(float x) { TORCH_CHECK(x > 0); return x + 1; }
__host__ __device__ inline float said(float x) { TORCH_CHECK(x > 1, "x is ", x, " not ", count(3)); return x + 2; }
__host__ __device__ inline float one(float x) { TORCH_CHECK(x > 1, count(5)); return x + 2; }
__host__ __device__ inline float text(float x) { TORCH_CHECK(x > 2, x > 1 ? "t" : "u"); return x + 3; }
__global__ void of_bare(float* p) { *p = bare(*p); }
__global__ void of_said(float* p) { *p = said(*p); }
__global__ void of_one(float* p) { *p = one(*p); }
__global__ void of_text(float* p) { *p = text(*p); }
"""
NAMES = ["describe", "make", "make_default", "make_half", "fill", "address", "packed", "wrong_size", "said", "literal", "unsaid", "passes",
         "undefined", "handed_on", "has_stream", "guarded", "cuda_check", "copied", "made_channels_last", "built", "unparsed", "traits",
         "copies_may_throw", "crossed"]
DECLARATIONS = """
void copied(torch::Tensor to, const torch::Tensor& from);
torch::Tensor made_channels_last(torch::Tensor like);
std::vector<std::string> built(torch::Tensor x);
void unparsed();
std::vector<long> traits();
bool copies_may_throw();
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
    one = lambda x: [str(x.dtype), list(x.shape), list(x.stride()) if x.layout == torch.strided else str(x.layout), str(x.device), x.requires_grad] if isinstance(x, torch.Tensor) else x
    return [one(x) for x in result] if isinstance(result, tuple) else one(result)
answers = []
inputs = [torch.zeros(2, 3), torch.zeros(2, 3).t(), torch.zeros(4, 0, dtype=torch.half), torch.zeros(2, 3, 5, dtype=torch.bfloat16)[:, 1:],
          torch.zeros(3, dtype=torch.int8), torch.zeros(2, 2, dtype=torch.float8_e4m3fn), torch.zeros(2, 3, requires_grad=True)]
for x in inputs:
    answers += [answer(ops.describe, x), answer(ops.make, x, 3), answer(ops.make_half, x), answer(ops.packed, x), answer(ops.wrong_size, x)]
    answers += [answer(check, x) for check in (ops.said, ops.literal, ops.unsaid, ops.passes)]
    answers += [answer(ops.handed_on, x, inputs[0]), answer(ops.built, x), answer(ops.crossed, x), answer(ops.made_channels_last, x)]
    assert ops.address(x) == x.data_ptr() and ops.packed(x).is_contiguous()
answers += [answer(ops.has_stream), answer(ops.guarded, inputs[0]), answer(ops.cuda_check)]
assert torch.cuda.is_available() or all(isinstance(said, list) for said in answers[-3:]), answers[-3:]
answers += [answer(ops.make_default, 4), answer(ops.make_default, -1), answer(ops.undefined), ops.fill(torch.zeros(2, 2)).tolist(),
            answer(ops.fill, inputs[4]), answer(ops.unparsed), ops.traits()]
for x in (torch.ones(2, 2).to_sparse(), torch.ones(2, 2).to_sparse_csr(), torch.zeros(2, 2, device="meta")):
    answers += [answer(ops.crossed, x), answer(ops.built, x), answer(ops.make, x, 3)[:2]]
to = torch.zeros(2, 2)
ops.copied(to, torch.ones(2))
answers += [to.tolist(), answer(ops.copied, to, torch.ones(3))]
if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 14):
    answers.append(ops.copies_may_throw())
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
        packages = sorted(support.torch_packages().glob("nvidia/cu[0-9]*"))
        toolkit = packages[-1] if packages else pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
        options = ["g++", "-std=c++20", "-O1", "-fPIC", "-w", f"-D_GLIBCXX_USE_CXX11_ABI={int(abi)}", "-DTORCH_EXTENSION_NAME=ops"]
        return options, [f"-I{folder}" for folder in [*torch_folders, python, toolkit / "include"]], libraries, toolkit

    def test_the_facade_answers_as_torch_does(self):
        headers = support.SOURCE / "patches" / "headers"
        options, folders, libraries, _ = self.compiler()
        (self.world / "ops.cpp").write_text(OPS)
        (self.world / "shared.h").write_text(SHARED)
        bindings = "\n".join(f'm.def("{name}", &{name});' for name in NAMES)
        (self.world / "bind.cpp").write_text(
            f'#include <torch/extension.h>\n#include "shared.h"\n{DECLARATIONS}{CROSSED}PYBIND11_MODULE(ops, m) {{ {bindings} }}\n')

        def compile_one(source, name, *first):
            subprocess.run([*options, *first, *folders, "-c", source, "-o", self.world / name], check=True)

        compile_one(self.world / "bind.cpp", "bind.o", f"-I{headers}/binding")
        compile_one(self.world / "ops.cpp", "torch.o")
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
        self.assertEqual(len(answers["facade"]), len(answers["torch"]))
        for ours, torchs in zip(answers["facade"], answers["torch"]):
            self.assertEqual(ours, torchs)
        # A function of torch's name that was emitted could be taken by other files for torch's.
        emitted = subprocess.run(["nm", "--defined-only", self.world / "facade.o"], check=True, capture_output=True, text=True).stdout
        self.assertNotRegex(emitted, r" _ZNK?(2at|3c10|6caffe2|5torch)")
        exported = subprocess.run(["nm", "-D", "--defined-only", self.world / "facade" / "ops.so"], check=True, capture_output=True, text=True)
        self.assertNotIn("sagebuild", exported.stdout)

    def test_no_class_of_the_facade_can_change_its_shape(self):
        """The header says what torch has, the bridge that torch has it: a class that is not so compiles nowhere."""
        source = self.world / "all.cpp"
        source.write_text("#include <c10/cuda/CUDAGuard.h>\n#include <torch/extension.h>\n")
        options, _, _, toolkit = self.compiler()  # without torch's folders: what the facade includes is the facade's

        def compiles(headers):
            return subprocess.run([*options, "-fsyntax-only", f"-I{headers}", f"-I{toolkit}/include", source], capture_output=True, text=True)

        original = support.SOURCE / "patches/headers/facade"
        self.assertEqual(compiles(original).returncode, 0, compiles(original).stderr)
        planted = [("sagebuild/core.h", "torchs_[7];", "torchs_[8];"), ("sagebuild/core.h", "alignas(2) unsigned char torchs_[7]", "unsigned char torchs_[8]"),
                   ("sagebuild/core.h", "alignas(2) unsigned char torchs_[2]", "unsigned char torchs_[2]"), ("sagebuild/core.h", "  size_t size_;", "  unsigned size_[3];"),
                   ("sagebuild/core.h", " private:\n  unsigned char torchs_[2]", "~Device() {}\n private:\n  unsigned char torchs_[2]"),
                   ("torch/extension.h", "void* implementation_;", "void* implementation_[2];"), ("torch/extension.h", "& noexcept {", "& {"),
                   ("c10/cuda/CUDAStream.h", "torchs_[16]", "torchs_[8]"), ("c10/cuda/CUDAGuard.h", "torchs_[12]", "torchs_[4]")]
        for number, (name, old, new) in enumerate(planted):
            changed = self.world / str(number)
            shutil.copytree(original, changed)
            text = (changed / name).read_text()
            self.assertIn(old, text)
            (changed / name).write_text(text.replace(old, new))
            done = compiles(changed)
            self.assertNotEqual(done.returncode, 0, (name, new))
            self.assertIn("static assertion failed", done.stderr)

    def test_a_failed_check_in_device_code_is_torchs(self):
        _, folders, _, toolkit = self.compiler()
        nvcc = shutil.which("nvcc", path=f"{toolkit}/bin:{os.environ['PATH']}")
        (self.world / "checks.cu").write_text(CHECKS)
        headers = support.SOURCE / "patches" / "headers" / "facade"
        code = {}
        for kind, first in (("torch", []), ("facade", [f"-I{headers}"])):
            output = self.world / f"{kind}.ptx"
            subprocess.run([nvcc, "-ptx", "-w", "-arch=compute_89", "-std=c++20", *first, *folders[:-1], "checks.cu", "-o", output], check=True, cwd=self.world)
            lines = output.read_text().splitlines()
            code[kind] = [line for line in lines if not (line.startswith("//") or (name := re.search(r"\.global .*?(\w+)(\[\d*\])?( = .*)?;$", line)) and
                                                         sum(name[1] in other for other in lines) == 1)]
        self.assertEqual(code["facade"], code["torch"])
        self.assertIn("setp", "".join(code["facade"]))
        # Of what CUDA returns torch's versions make different device code.
        for number, function in enumerate(("__host__", "__host__ __device__")):
            (self.world / "cuda.cu").write_text(f"#include <c10/cuda/CUDAException.h>\ninline {function} void f() {{ C10_CUDA_KERNEL_LAUNCH_CHECK(); }}\n")
            done = subprocess.run([nvcc, "-ptx", "-w", "-arch=compute_89", f"-I{headers}", "cuda.cu", "-o", "cuda.ptx"], cwd=self.world, capture_output=True)
            self.assertEqual(done.returncode != 0, number == 1, done.stderr)

    def symbols(self, name):
        return subprocess.run(["nm", self.world / name], check=True, capture_output=True, text=True).stdout

    def test_a_torch_that_the_bridge_does_not_fit(self):
        """Compiles do not wait for the bridge, and objects in the cache may need it: they are made again, their device code is not."""
        launcher = (support.SOURCE / "tests/e2e/packages/tiny/csrc/kernel.cu").read_text()
        package = support.tiny_package(self.world / "tiny", kernel="#include <torch/extension.h>\n" + launcher +
                                       "int64_t length_of(torch::Tensor x) { return x.contiguous().numel(); }\n")
        first = self.build(package, "--headers", "facade")
        self.assertEqual(first.code, 0, first)
        wheel, = self.out.glob("*.whl")
        wheel.unlink()
        shutil.copytree(support.SOURCE / "patches", self.world / "data" / "patches")
        (self.world / "data/patches/headers/bridge/torch_bridge.cpp").write_text("#error another torch\n")
        trace = self.world / "trace.json"
        again = self.build(package, "--headers", "facade", "--timeline", trace, SAGEBUILD_DATA_DIR=str(self.world / "data"))
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
