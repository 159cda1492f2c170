#pragma once
// From what setup.py would do to what is done: which source is compiled for which architecture, and
// why.

#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/forecast.hpp"
#include "sagebuild/model/recipe.hpp"
#include "sagebuild/model/recorded_build.hpp"
#include "sagebuild/model/version.hpp"

namespace sagebuild {

// The reason of a target that no recipe gives one for.
inline constexpr const char* kAskedFor = "asked for";

// With a recipe each module gets the targets of the recipe's table; without one every source gets
// what was asked for, or, if setup.py compiles it for feature targets (90a, 100f), of what setup.py
// names that which serves what was asked for: what that leaves out is a warning. All architecture
// and --threads options of the recording are taken out: the plan owns them.
// Modules without targets are dropped with their reason. Throws Error{usage} for an architecture
// that no module serves, or, where the list was inherited from the environment, warns of it and
// leaves it out.
BuildPlan make_plan(const RecordedBuild& recorded, const std::optional<Recipe>& recipe,
                    const ArchList& archs, bool inherited = false);

// Another standard can mean other code, so each source is compiled as setup.py says; C++17 or C++20
// for those that ask for less than this torch's headers need.
void raise_standard(BuildPlan& plan, const Version& torch);

// Whether the module, or one of the recipe's, has a target for it; true of a recipe without
// modules, which leaves it to setup.py.
bool serves(const Recipe& recipe, Arch arch);
bool serves(const RecipeModule& module, Arch arch);

// "sm_80 sm_90 sm_120 compute_120", with "sm_90 from compute_89" where they differ.
std::string describe(const std::vector<Target>& targets);
// The table of `sagebuild plan`: module, source, targets, what is expected; then what was left out,
// and what it costs. Ends with a newline.
std::string table_of(const BuildPlan& plan, const BuildForecast& forecast);
// One JSON document, schema "sagebuild.plan/1".
std::string json_of(const BuildPlan& plan);
// The same with the forecast in it.
std::string json_of(const BuildPlan& plan, const BuildForecast& forecast);

}  // namespace sagebuild
