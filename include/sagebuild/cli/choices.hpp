#pragma once
// The settings that several commands share, as the values that env takes.

#include "sagebuild/cli/settings.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/env/toolchain.hpp"

namespace sagebuild {

// From python (a path, a folder or a version), torch, cuda, index-url and offline.
PythonChoice python_choice(const Settings& settings);
// From cuda-home, cuda and offline. Throws Error{usage} for a CUDA version that is none.
ToolchainChoice toolchain_choice(const Settings& settings);

}  // namespace sagebuild
