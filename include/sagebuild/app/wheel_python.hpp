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
// Throws Error{environment} if there is no such Python, and what create_environment throws.
PythonEnv python_for(const WheelFacts& facts, const Promise& promise, bool wants_torch,
                     PythonChoice choice, Reporter& report);

// Writes those files of the wheel that `is_wanted`, by their names in it. Only for a wheel whose
// archive is sound. Throws what WheelReader throws.
void unpack_wheel(const std::filesystem::path& wheel, const std::filesystem::path& folder,
                  const std::function<bool(const std::string&)>& is_wanted);

}  // namespace sagebuild
