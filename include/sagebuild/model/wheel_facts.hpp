#pragma once
// What is in a wheel, or in one library: everything that `inspect` tells and `verify` judges.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/gpu_code.hpp"
#include "sagebuild/model/version.hpp"
#include "sagebuild/model/wheel_name.hpp"
#include "sagebuild/sys/elf_view.hpp"

namespace sagebuild {

// Which std::string its symbols of torch name. torch has the C++11 one since 2.7.
enum class CxxAbi : std::uint8_t { unsaid, cxx11, old };
// Where its CUDA runtime is: in libcudart.so.N, or linked into the module.
enum class CudaRuntime : std::uint8_t { none, shared, linked_in };

// The highest versions of symbols that are wanted: what the system must have at least.
struct SymbolFloors {
  Version glibc = {};    // GLIBC_2.34
  Version glibcxx = {};  // GLIBCXX_3.4.30, of libstdc++
  Version cxxabi = {};   // CXXABI_1.3.13
  Version gcc = {};      // GCC_7.0.0, of libgcc_s
};

// Whether a system that `has` them up to these serves who wants the others.
bool fits(const SymbolFloors& wanted, const SymbolFloors& has);

struct ModuleFacts {
  std::string path;  // in the wheel; of a lone file its name
  std::uint64_t size = 0;
  unsigned machine = 0;  // EM_X86_64
  // A library or a program; else an object, a cubin or a fatbin, of which only the GPU code counts
  bool is_linked = false;
  std::vector<std::string> needed;
  std::vector<std::string> run_paths;
  ElfStack stack = ElfStack::plain;
  std::vector<ElfVersionNeed> version_needs;
  SymbolFloors floors;
  std::vector<std::string> init_functions;  // "PyInit__fused"
  std::vector<std::string> torch_symbols;   // wanted, mangled
  // With such names, and its own: what it has for the other modules of its wheel
  std::vector<std::string> torch_exports;
  // Wanted of the driver's library: cuTensorMapEncodeTiled
  std::vector<std::string> driver_symbols;
  std::vector<std::string> shim_symbols;  // wanted of torch's stable interface in C: aoti_torch_...
  CxxAbi cxx_abi = CxxAbi::unsaid;
  CudaRuntime cuda_runtime = CudaRuntime::none;
  std::uint64_t debug_bytes = 0;         // of .debug_* sections
  std::vector<std::string> build_paths;  // of somebody's home folder; the first few
  std::string compiler;                  // of .comment
  GpuCode gpu;
};

struct WheelFaults {
  std::vector<std::string> archive;   // the zip file, the file's name, the .dist-info folder
  std::vector<std::string> metadata;  // METADATA is another one than the file's name says
  std::vector<std::string> tags;      // WHEEL too
  std::vector<std::string> record;    // RECORD lists every file with its hash and size, or not

  std::vector<std::string> all() const;
};

struct WheelFacts {
  std::string file;  // its name
  std::uint64_t size = 0;
  bool is_wheel = true;  // else a lone library
  std::optional<WheelName> name;
  std::string metadata;                   // METADATA
  std::optional<std::string> provenance;  // sagebuild.json
  WheelFaults faults;
  std::vector<ModuleFacts> modules;
  // Libraries that could not be read, with the reason
  std::vector<std::string> unreadable;
};

// The last part of a module's name: "_fused" of "sageattention/_fused.cpython-311-....so".
std::string stem_of(const ModuleFacts& module);
// "libfoo.so.1" of "pkg/lib/libfoo.so.1".
std::string_view file_name(std::string_view path);
// Whether one of them is a library of that name, wherever it lies.
bool holds(const std::vector<ModuleFacts>& modules, std::string_view library);
// Whether it is no module of Python's and registers functions with torch, which
// torch.ops.load_library loads under any name.
bool registers_with_torch(const ModuleFacts& module);

// Major version that a wanted libcudart.so.13 names; nothing where none is wanted.
std::optional<int> wanted_cudart(const ModuleFacts& module);

// "Ubuntu 22.04, Debian 12, RHEL 9 and newer": the oldest of each that has these versions. "any
// Linux" where nothing is wanted; "none that is known" above all.
std::string distributions_for(const SymbolFloors& floors);

}  // namespace sagebuild
