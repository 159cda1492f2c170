#pragma once
// A file that the user names as a wheel: what it is, and what it is truly called.

#include <filesystem>
#include <string>

namespace sagebuild {

// The name of the wheel at `path`: of a name that a browser or wget has changed ("%2B" for "+",
// " (1)" or ".1" at the end) the true one with `fix_names`. Throws Error{usage} that says what the
// file is if it is no wheel at all: a folder, a pipe, a source distribution, a web page, or a
// changed name without `fix_names`. Whether the wheel is sound is not asked.
std::string require_wheel_argument(const std::filesystem::path& path, bool fix_names);

// "a-1.0+cu130-cp311-cp311-linux_x86_64.whl" of "a-1.0%2Bcu130-cp311-cp311-linux_x86_64 (1).whl".
std::string true_wheel_name(std::string name);

}  // namespace sagebuild
