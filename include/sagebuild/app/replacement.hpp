#pragma once
// When a wheel may take the place of another of its name. The name holds version, commit, CUDA,
// torch and Python, and not the architectures: an index has one file of a name, and pip takes what
// runs for what it is asked for. So a wheel of other architectures, or of other rules, is not
// replaced without a word; the same thing built again is.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/wheel.hpp"
#include "sagebuild/model/wheel_name.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// The wheels for Linux on this machine's processors in `folder` that are called `name`, whatever
// their platform tag: which one a build will have is known when its modules are linked, and pip
// would choose between the two by it.
std::vector<std::filesystem::path> wheels_called(const std::filesystem::path& folder,
                                                 const WheelName& name);

// Why `wheel`, if it is there, is not what `ours` would make again: "it is for 12.0, this build
// for 8.9". Nothing: it may be replaced.
std::optional<std::string> other_content(const std::filesystem::path& wheel,
                                         const Provenance& ours);

// All wheels_called, which `ours` may replace. Throws Error{usage} with that reason for one that it
// may not, unless `force`, and for a folder of such a name.
std::vector<std::filesystem::path> replaceable_wheels(const std::filesystem::path& folder,
                                                      const WheelName& name, const Provenance& ours,
                                                      bool force);

// Removes those of them that are not `wheel`, which has taken their place, and says so: pip would
// take one of another platform tag, if that is higher.
void remove_others(const std::vector<std::filesystem::path>& wheels,
                   const std::filesystem::path& wheel, Reporter& report);

// Throws Error{usage} if a folder has the wheel's name: no wheel can take its place, by --force
// neither.
void require_no_folder(const std::filesystem::path& wheel);

}  // namespace sagebuild
