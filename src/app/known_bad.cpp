#include "sagebuild/app/known_bad.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sagebuild {
namespace {

// The rule that mends it had something to mend: a fork, an archive or an edited folder with the
// fault.
bool was_found(const KnownBad& bad, const PatchedTree& tree) {
  return std::ranges::any_of(tree.rules, [&](const AppliedRule& rule) {
    return rule.id == bad.mended_by && rule.count > 0;
  });
}

}  // namespace

std::vector<std::string> known_faults(const Recipe& recipe, const PatchedTree& tree,
                                      const ArchList& archs) {
  std::vector<std::string> faults;
  for (const KnownBad& bad : recipe.known_bad) {
    const auto commit = std::ranges::find_if(bad.commits, [&](const std::string& digits) {
      return tree.checkout.commit.starts_with(digits);
    });
    const bool is_it = commit != bad.commits.end();
    if (!(is_it || was_found(bad, tree)) || !bad.shows_on(archs)) continue;
    const bool is_mended =
        std::ranges::find(tree.rules, bad.mended_by, &AppliedRule::id) != tree.rules.end();
    const std::string name = !bad.tag.empty() ? bad.tag : is_it ? *commit : bad.commits.front();
    faults.push_back(fmt::format(
        "{}: {}; {}",
        is_it ? name + " is known to be bad" : "this source has a known fault of " + name,
        bad.reason,
        is_mended ? fmt::format("the rule '{}' mended it in this build", bad.mended_by)
                  : "nothing mended it here: build another commit"));
  }
  return faults;
}

}  // namespace sagebuild
