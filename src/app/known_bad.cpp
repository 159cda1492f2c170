#include "sagebuild/app/known_bad.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sagebuild {
namespace {

bool shows_on(const KnownBad& bad, const ArchList& archs) {
  return bad.archs.empty() || std::ranges::any_of(archs, [&](const ArchRequest& asked) {
           return std::ranges::any_of(bad.archs, [&](const ArchRequest& request) {
             return request.arch.major == asked.arch.major &&
                    request.arch.minor == asked.arch.minor;
           });
         });
}

}  // namespace

std::vector<std::string> known_faults(const Recipe& recipe, const PatchedTree& tree,
                                      const ArchList& archs) {
  std::vector<std::string> faults;
  for (const KnownBad& bad : recipe.known_bad) {
    if (!tree.checkout.commit.starts_with(bad.commit) || !shows_on(bad, archs)) continue;
    const bool is_mended =
        std::ranges::find(tree.rules, bad.mended_by, &AppliedRule::id) != tree.rules.end();
    faults.push_back(fmt::format(
        "{} is known to be bad: {}; {}", bad.tag.empty() ? bad.commit : bad.tag, bad.reason,
        is_mended ? fmt::format("the rule '{}' mended it in this build", bad.mended_by)
                  : "nothing mended it here: build another commit"));
  }
  return faults;
}

}  // namespace sagebuild
