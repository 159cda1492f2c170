#pragma once
// What a wheel's provenance says of the choices that its build was given. Private to this folder.

#include <array>
#include <filesystem>

#include "sagebuild/app/build.hpp"
#include "sagebuild/model/provenance.hpp"

namespace sagebuild {

// `subfolder`: of setup.py, in the source. `asked`: NAME=VALUE of the environment that the
// project's own code asked for. Values that may be secrets or paths of this machine are left out.
BuildParameters parameters_of(const BuildSettings& settings, const std::filesystem::path& subfolder,
                              std::vector<std::string> asked);

// What nvcc itself reads.
inline constexpr std::array<const char*, 2> kNvccFlagVariables = {"NVCC_PREPEND_FLAGS",
                                                                  "NVCC_APPEND_FLAGS"};
// "-lineinfo" of the variable NVCC_APPEND_FLAGS is told as "NVCC_APPEND_FLAGS=-lineinfo"; a value
// that may hold a secret or a path by the name alone; what is not set, not at all.
std::vector<std::string> told_nvcc_flags();

}  // namespace sagebuild
