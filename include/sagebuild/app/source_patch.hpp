#pragma once
// Patching the source of a build. Most of what the rules for setup.py do the plan does by itself,
// so a setup.py that they do not fit (a fork's, one edited by hand) is built as it is, and the user
// is told what that costs.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/recipe.hpp"
#include "sagebuild/model/recorded_build.hpp"
#include "sagebuild/model/source.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct PatchedSource {
  PatchedTree tree;
  std::vector<std::string> failures;  // of rules that did not fit; their files are as they were
  // setup.py is of the shape that the recipe's rules and proofs are for
  bool known = true;
};

// Writes the files whose rules all fit. Throws Error{failed} for what the recipe refuses, with
// `strict` for every rule that does not fit, and Error{usage} for a fault in the recipe.
PatchedSource patch_source(const Checkout& checkout, const Recipe& recipe, bool strict,
                           Reporter& report);

// Names the modules that an unpatched setup.py speaks of and did not build, though the recipe has
// code for `archs`.
void warn_of_missing_modules(const Recipe& recipe, const std::filesystem::path& project,
                             const RecordedBuild& recorded, const ArchList& archs,
                             Reporter& report);

}  // namespace sagebuild
