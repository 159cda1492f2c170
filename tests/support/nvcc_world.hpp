#pragma once
// What tests of the nvcc room share: where the golden texts lie, and the toolkit of this machine, if there is one.

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

inline std::filesystem::path test_source() { return environment_value("SAGEBUILD_TEST_SOURCE").value_or("."); }

inline std::filesystem::path test_data() { return test_source() / "tests" / "nvcc" / "data"; }

// CUDA_HOME's nvcc, else the one on PATH, else /usr/local/cuda's.
inline std::optional<std::filesystem::path> real_nvcc() {
  for (const auto& home : {environment_value("CUDA_HOME"), environment_value("CUDA_PATH")})
    if (home && std::filesystem::exists(*home + "/bin/nvcc")) return *home + "/bin/nvcc";
  if (auto found = find_program("nvcc")) return found;
  if (std::filesystem::exists("/usr/local/cuda/bin/nvcc")) return "/usr/local/cuda/bin/nvcc";
  return std::nullopt;
}

}  // namespace sagebuild
