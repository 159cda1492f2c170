#pragma once
// What a recorded setup.py must have made, so that a wheel of it is what its name says.

#include <filesystem>
#include <string>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/recorded_build.hpp"
#include "sagebuild/model/source.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

// Throws Error{failed} if no module was compiled (also where setup.py took a ready wheel), or none
// has device code and `allow_cpu` is off. Names the switches of setup.py that are not among the
// variables that it got.
void require_device_code(const RecordedBuild& recorded, const std::filesystem::path& project,
                         const Environment& passed, bool allow_cpu);

// Two parts of one hint; either may be empty.
std::string joined_hints(std::string first, const std::string& second);

// For a setup.py that failed: what to try if its text asks for the architectures by a variable of
// its own, which has no value. Empty: it does not.
std::string hint_of_own_arch_list(const std::filesystem::path& project, const Environment& passed,
                                  const ArchList& archs);

// For a setup.py that failed or compiled no device code: that it asks torch for a GPU, and how it
// is told of one. Empty: its text does not, or it was told.
std::string hint_of_asked_gpu(const std::filesystem::path& project, const Environment& passed);

bool has_device_code(const RecordedModule& module);

// Of a version that setup.py takes from git, where it can be none: nothing tells it, or the clone
// has no history.
void warn_of_version(const RecordedBuild& recorded, const Checkout& checkout,
                     const std::filesystem::path& project, Reporter& report);

// Says which variables setup.py asked for; a secret's value is not shown.
void report_variables(const RecordedBuild& recorded, const Environment& passed, Reporter& report);

// NAME=VALUE of those that it asked for and got from the user's environment, sorted, without those
// of `options` (--env). They may decide what is in the wheel.
std::vector<std::string> asked_of_environment(const RecordedBuild& recorded,
                                              const Environment& passed,
                                              const std::vector<std::string>& options);

}  // namespace sagebuild
