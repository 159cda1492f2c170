#pragma once
// CUDA compilers as PyPI packages. NVIDIA's wheels have one for CUDA 13 only; none of the cu12
// wheels holds nvcc.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/environment.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// One CUDA release. The five packages pin each other loosely, so they are always named with exact
// versions: nvcc 13.0 beside nvvm 13.5 ends in "ptxas fatal: Unsupported .version 9.5".
struct ToolkitPackages {
  std::string_view release;   // "13.0.2", as the meta-package cuda-toolkit counts
  std::string_view compiler;  // of nvidia-cuda-nvcc, nvidia-nvvm, nvidia-cuda-crt
  std::string_view runtime;   // of nvidia-cuda-runtime
  std::string_view cccl;      // of nvidia-cuda-cccl

  std::vector<std::string> requirements() const;
};

const ToolkitPackages* toolkit_release(std::string_view release);  // "13.0.2", or nullptr
// The release of the same major.minor, else the newest of the same major, else nullptr.
const ToolkitPackages* toolkit_for(const Version& cuda);

// cache_folder()/toolkits/RELEASE as a CUDA_HOME, made if missing: installed beside it, tried, then
// renamed into place. `python` runs the installer (uv or pip) and is not changed. Throws
// Error{network}, {environment} or {failed}.
std::filesystem::path make_toolkit(const ToolkitPackages& packages, const PythonEnv& python,
                                   bool offline, Reporter& report);
// Its CUDA_HOME; may not exist
std::filesystem::path toolkit_folder(std::string_view release);

// Adds the links that the packages lack: lib64 (nvcc 13.0 and 13.1 link against it) and
// libcudart.so (torch says -lcudart).
void complete_toolkit(const std::filesystem::path& cuda_home);

}  // namespace sagebuild
