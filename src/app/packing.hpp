#pragma once
// From linked modules to the wheel, and what it is called. Private to this folder.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/wheel/pack.hpp"

namespace sagebuild {

// For the plan: "a-1.0+cu130torch2.11-cp311-cp311-PLATFORM.whl", and why it says PLATFORM unless
// the plain one was asked for. Of the two `packs` the second is for modules that want nothing of
// torch's.
std::string expected_name(const std::vector<PackSettings>& packs, bool plain_platform);

// Sets the platform that is true of the modules, or the plain one where it was asked for.
void set_platform(PackSettings& pack, bool plain_platform, Reporter& report);

// The wheel in the folder `work`, from where it goes to its place once it is verified. A warm build
// would only read and write it, so that is a cached action, too. `jobs`: modules compressed at
// once.
std::filesystem::path packed(PackSettings pack, const std::filesystem::path& work, unsigned jobs,
                             ActionCache& cache);

}  // namespace sagebuild
