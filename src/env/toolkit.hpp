#pragma once
// The halves of find_toolchain, for the doctor too.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/env/toolchain.hpp"

namespace sagebuild {

struct FoundToolkit {
  std::filesystem::path home;
  ToolkitProbe probe;
  std::string origin;
};

// Looks, makes nothing. Throws Error{environment} only for a --cuda-home that does not do. What was
// passed over, and why, goes to the reporter and to `passed_over`.
std::optional<FoundToolkit> existing_toolkit(const ToolchainChoice& choice, const PythonEnv& python,
                                             Reporter& report,
                                             std::vector<std::string>& passed_over);
// What would be made of PyPI packages where none is there: its CUDA, empty where torch's is not
// known. Throws Error{environment} if there are no such packages.
Toolchain predicted_toolkit(const ToolchainChoice& choice, const PythonEnv& python,
                            const std::vector<std::string>& passed_over);
// Throws Error{environment}: none there, or none that this toolkit takes.
HostCompiler find_host_compiler(const std::filesystem::path& cuda_home, Reporter& report);
// The CUDA that a toolkit must have: torch's, or the wish where there is no torch.
Version needed_cuda(const ToolchainChoice& choice, const PythonEnv& python);

}  // namespace sagebuild
