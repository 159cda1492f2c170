#pragma once
// What `verify --import` and `verify --gpu` both need: a Python that fits a wheel, and the wheel's
// files in a folder.

#include <filesystem>
#include <functional>
#include <string>

#include "sagebuild/env/python.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

// The Python of `choice`, else an environment for the wheel's Python, with the promised torch where
// `wants_torch`. It is made where there is none (minutes and about 5.1 GB; the reporter is told).
// Throws Error{environment} if there is no such Python, or it is not one of the wheel's, and what
// create_environment throws.
PythonEnv python_for(const WheelFacts& facts, const Promise& promise, bool wants_torch,
                     PythonChoice choice, Reporter& report);

// "pkg/x.py" also of "pkg-1.0.data/purelib/pkg/x.py": where pip puts a file of a wheel.
std::string installed_path(const std::string& name);

// Writes the files of the wheel where `path_of` says of their names in it; empty: not at all. Only
// for a wheel whose archive is sound. Throws what WheelReader throws.
void unpack_wheel(const std::filesystem::path& wheel, const std::filesystem::path& folder,
                  const std::function<std::string(const std::string&)>& path_of);

}  // namespace sagebuild
