#pragma once
// The settings that several commands share, as the values that env takes.

#include "sagebuild/cli/settings.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/env/toolchain.hpp"

namespace sagebuild {

// From python alone: a path, a folder or a version.
PythonChoice named_python(const Settings& settings);
// From python (a path, a folder or a version), torch, cuda, index-url and offline.
PythonChoice python_choice(const Settings& settings);
// From cuda-home, cuda and offline. Throws Error{usage} for a CUDA version that is none.
ToolchainChoice toolchain_choice(const Settings& settings);

// What --recipe takes for a file: with a slash, or ".toml" at its end. Everything else is a name.
bool is_recipe_file(std::string_view text);

}  // namespace sagebuild
