#pragma once
// Everything of a build up to its plan, which `plan` and `build` have in common. Private to this
// folder.

#include <filesystem>
#include <memory>
#include <optional>

#include "sagebuild/app/build.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/model/provenance.hpp"
#include "sagebuild/model/recipe.hpp"
#include "sagebuild/model/recorded_build.hpp"
#include "sagebuild/nvcc/toolkit.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/shared_lock.hpp"

namespace sagebuild {

struct PreparedBuild {
  TempDir work{"sagebuild"};
  std::filesystem::path logs;
  PythonEnv python;
  std::unique_ptr<SharedLock> python_in_use;
  Toolchain toolchain;
  std::shared_ptr<const Toolkit> toolkit;  // the same, inspected
  std::optional<Recipe> recipe;
  PatchedTree tree;
  RecordedBuild recorded;
  BuildPlan plan;

  std::filesystem::path subfolder;  // of setup.py; empty: the top
  BuildParameters parameters;

  // The folder of setup.py.
  std::filesystem::path project() const {
    return subfolder.empty() ? tree.checkout.root : tree.checkout.root / subfolder;
  }
};

// `builds`: what it prints goes to a log from the beginning.
std::unique_ptr<PreparedBuild> prepare(const BuildSettings& settings, bool builds,
                                       ActionCache& cache, Reporter& report);

}  // namespace sagebuild
