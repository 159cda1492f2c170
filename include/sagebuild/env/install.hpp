#pragma once
// A finished wheel goes into the environment that it was built for.

#include <filesystem>

#include "sagebuild/env/python.hpp"

namespace sagebuild {

// Throws Error{usage} where the wheel would be for no environment of the user's, and
// Error{environment} where nothing may be installed into it, or neither uv nor pip is there.
void require_place_to_install(const ForeseenPython& python);

// Replaces what is installed under its name, and nothing else: dependencies stay as they are, since
// an installer might take another torch. By uv, else by the environment's own pip. Throws
// Error{environment}, Error{failed} with the installer's words.
void install_wheel(const PythonEnv& python, const std::filesystem::path& wheel);

}  // namespace sagebuild
