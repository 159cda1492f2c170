#pragma once
// A module runs on other machines than that which links it. Private to this folder.

#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild::linking {

struct PortableWords {
  std::vector<std::string> argv;
  // Run paths that are left out, absolute where they were: folders of this machine
  std::vector<std::string> dropped;
};

// The words of a link that leaves a module without an executable stack, and with run paths below
// its own folder ($ORIGIN) alone. Where libraries need others, the linker still looks in the
// folders that were dropped (-rpath-link). `argv` is expanded.
PortableWords portable(const std::vector<std::string>& argv, const std::filesystem::path& cwd);

// Why a linked module is not fit for other machines after all; empty: it is. Throws Error{failed}
// if it is no module.
std::string unportable(const std::filesystem::path& module);

}  // namespace sagebuild::linking
