#pragma once
// A finished wheel and what it says of itself.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/model/source.hpp"

namespace sagebuild {

struct Wheel {
  std::filesystem::path path;
};

// Everything that goes into NAME.dist-info/sagebuild.json.
struct Provenance {
  std::string sagebuild_version;
  std::string recipe;
  PatchedTree tree;
  Toolchain toolchain;
  PythonEnv python;
  BuildPlan plan;
};

}  // namespace sagebuild
