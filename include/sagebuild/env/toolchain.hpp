#pragma once
// The CUDA toolkit and host compiler that fit a Python's torch.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct ToolchainChoice {
  // --cuda-home: taken or refused, never passed over
  std::optional<std::filesystem::path> cuda_home;
  // Wanted major.minor; empty: any of torch's major
  Version cuda;
  bool offline = false;
  bool create = true;  // may a toolkit be made from PyPI packages
};

// Order: --cuda-home, CUDA_HOME, CUDA_PATH, nvcc on PATH, /usr/local/cuda* (newest first), torch's
// own nvidia/cu13, then a toolkit of PyPI packages in cache_folder()/toolkits (CUDA 13 only, about
// 270 MB, seconds). What does not fit torch's CUDA major is passed over with a note. Host compiler:
// NVCC_CCBIN, CXX, CC, then g++; if plain g++ is newer than this nvcc takes, the newest g++-N that
// it does. Throws Error{environment} with what was looked at as causes.
Toolchain find_toolchain(const ToolchainChoice& choice, const PythonEnv& python, Reporter& report);

// What find_toolchain will give, as far as that is known without fetching anything: its CUDA
// version (empty where torch's is unknown) and its folder, if that is there. Throws what
// find_toolchain would.
Toolchain predict_toolchain(const ToolchainChoice& choice, const PythonEnv& python);

// A toolkit folder's compiler. `problem` is set instead if it is none.
struct ToolkitProbe {
  std::filesystem::path nvcc;
  Version cuda;
  std::string build;    // "13.0.88"
  std::string problem;  // "has no bin/nvcc"
};
ToolkitProbe probe_toolkit(const std::filesystem::path& cuda_home);

// The compiler that a command names, by its own macros.
struct HostCompiler {
  std::filesystem::path path;
  Version version;
  bool clang = false;
};
HostCompiler probe_host_compiler(const std::filesystem::path& path);
// The newest major of GCC (or clang) that a toolkit takes, read from its crt/host_config.h. 0: the
// file does not say.
int newest_host_major(const std::filesystem::path& cuda_home, bool clang);

// "12.0 needs CUDA 12.8 or newer", "7.0 went away in CUDA 13.0"; empty if nvcc of this CUDA builds
// for it, or if the CUDA is not known.
std::string why_not_built(Arch arch, const Version& cuda);
// Throws Error{environment} if this nvcc is too old or too new for one of the architectures; all of
// them are named.
void require_cuda_for(const ArchList& archs, const Toolchain& toolchain);

}  // namespace sagebuild
