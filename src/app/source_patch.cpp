#include "sagebuild/app/source_patch.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/patch/patch.hpp"
#include "sagebuild/plan/plan.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

void warn_of(const PatchOutcome& outcome, Reporter& report) {
  for (const std::string& failure : outcome.failures) report.warning(failure);
  const std::string lost = outcome.lost.empty()
                               ? "nothing is lost by that, for the plan does what the rules do"
                               : "what is lost: " + join(outcome.lost, "; ");
  report.warning(fmt::format(
      "'{}' is built as it is, without the recipe's patch (--strict-patch makes that an error); {}",
      outcome.file, lost));
}

}  // namespace

PatchedSource patch_source(const Checkout& checkout, const Recipe& recipe, bool strict,
                           Reporter& report) {
  const std::vector<PatchOutcome> outcomes =
      patch_folder(load_rules(recipe), checkout.root / recipe.subfolder);
  if (strict || std::ranges::any_of(outcomes, &PatchOutcome::refused)) require_patched(outcomes);
  PatchedSource source;
  for (const PatchOutcome& outcome : outcomes) {
    if (!outcome.note.empty()) report.note(outcome.note);
    source.known &= !outcome.as_is;
    if (outcome.failures.empty()) continue;
    warn_of(outcome, report);
    source.failures.insert(source.failures.end(), outcome.failures.begin(), outcome.failures.end());
    source.known &= outcome.file != "setup.py";
  }
  source.tree = patch_tree(checkout, recipe, outcomes);
  return source;
}

void warn_of_missing_modules(const Recipe& recipe, const std::filesystem::path& project,
                             const RecordedBuild& recorded, const ArchList& archs,
                             Reporter& report) {
  const std::string setup_py = read_file(project / "setup.py");
  const auto last_part = [](std::string_view name) { return name.substr(name.rfind('.') + 1); };
  for (const RecipeModule& module : recipe.modules) {
    const bool is_built = std::ranges::any_of(recorded.modules, [&](const RecordedModule& one) {
      return last_part(one.name) == last_part(module.name);
    });
    const bool has_code = std::ranges::any_of(
        archs, [&](const ArchRequest& request) { return serves(module, request.arch); });
    if (is_built || !has_code || !names_module(setup_py, module)) continue;
    report.warning(fmt::format(
        "setup.py names '{}' and does not build it for the architectures {}, though the recipe "
        "has code for them: the wheel will lack it",
        module.name, recipe.record_archs));
  }
}

}  // namespace sagebuild
