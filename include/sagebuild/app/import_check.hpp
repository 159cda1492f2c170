#pragma once
// `sagebuild verify --import`: each extension module of a wheel is loaded by a real Python, by
// itself: packages often hide an ImportError.

#include <filesystem>
#include <vector>

#include "sagebuild/env/python.hpp"
#include "sagebuild/model/finding.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

// What could not be loaded (SB137, SB138), with the loader's words. Takes the Python of `choice`,
// else an environment with the promised torch, which is made where there is none (minutes and about
// 5.1 GB; the reporter is told). Nothing of the wheel is installed. Symbols are bound at once;
// where there is no driver a stub stands in for those modules that need one. Each module has five
// minutes. Throws Error{environment} if there is no such Python or torch cannot be imported, and
// what create_environment throws.
std::vector<Finding> import_findings(const std::filesystem::path& file, const WheelFacts& facts,
                                     const Promise& promise, Policy policy, PythonChoice choice,
                                     Reporter& report);

}  // namespace sagebuild
