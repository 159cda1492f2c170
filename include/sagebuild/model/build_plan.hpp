#pragma once
// The immutable plan: which module, source and architecture is built, from what, and why.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/recipe.hpp"
#include "sagebuild/model/recorded_build.hpp"
#include "sagebuild/model/stage_costs.hpp"

namespace sagebuild {

// Machine code for `real` made from PTX of `virtual_arch`, and PTX itself, where asked for.
struct Target {
  Arch virtual_arch;
  Arch real;
  bool sass = true;
  bool ptx = false;
  std::string reason;

  auto operator<=>(const Target&) const = default;
};

struct PlannedSource {
  RecordedSource recorded;
  std::string cxx_standard;     // "c++20" instead of what setup.py says; empty: as it says
  std::vector<Target> targets;  // sorted; empty for host sources
  StageCosts costs = {};
  unsigned parts = 1;  // compiled in at most so many
};

// "c++17": what it is compiled for; empty where no option says so.
std::string standard_of(const PlannedSource& source);

struct PlannedModule {
  std::string name;
  std::filesystem::path output;  // relative to the wheel
  std::vector<PlannedSource> sources;
  std::vector<std::string> link;
  std::filesystem::path link_cwd;
};

struct DroppedModule {
  std::string name;
  std::filesystem::path output;
  std::string reason;  // "no target for 8.0: FP8 code needs 8.9"
};

struct BuildPlan {
  ArchList archs;
  std::vector<PlannedModule> modules;
  std::vector<DroppedModule> dropped;
  ProvedSources proved = {};  // the recipe's
  std::vector<std::string> warnings =
      {};  // "8.6 is served by the sm_80 code", "a 4090 would hit trap stubs"
};

}  // namespace sagebuild
