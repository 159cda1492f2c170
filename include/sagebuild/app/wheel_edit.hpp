#pragma once
// `sagebuild wheel retag` and `label`: finished wheels under other tags, or with another label.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/report/reporter.hpp"
#include "sagebuild/wheel/rewrite.hpp"

namespace sagebuild {

// For WheelChange::platform: the lowest tag that is true of what the wheel holds.
inline constexpr const char* kAutoPlatform = "auto";

struct WheelEdit {
  std::vector<std::filesystem::path> files;
  WheelChange change;
  std::filesystem::path output;  // folder; empty: beside each file
  bool force = false;            // takes the place of a file that is there
};

struct EditedWheel {
  std::filesystem::path from, to;
};

// Everything that can be wrong with a file is looked for in all of them before one is written:
// Error{findings} for a wheel that is not sound, Error{usage} for a name that is none, "auto" for a
// wheel whose libraries do not say, two wheels of one name, a file that is there, one that would
// take the place of a named one, a single wheel that has its new name already; of several such a
// one is noted and left. Each wheel appears whole or not at all; the files that were named stay. A
// tag that is not true of what the wheel holds is a warning.
std::vector<EditedWheel> edit_wheels(const WheelEdit& edit, Reporter& report);

}  // namespace sagebuild
