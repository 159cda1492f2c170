#pragma once
// libcuda is part of the driver, which a build machine lacks; something must stand in for it at
// link time.

#include <filesystem>

namespace sagebuild {

// The folder of a toolkit's own libcuda.so stub, or empty: PyPI packages have none (link/stubs.hpp
// makes one).
std::filesystem::path toolkit_stubs(const std::filesystem::path& cuda_home);

}  // namespace sagebuild
