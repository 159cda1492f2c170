#include <algorithm>

#include "sagebuild/base/strings.hpp"
#include "verify/checks.hpp"

namespace sagebuild::verifying {
namespace {

constexpr std::size_t kMostShown = 20;

// One finding for each, up to so many: a wheel with a wrong RECORD can have thousands.
void add_all(std::string_view code, const std::string& subject,
             const std::vector<std::string>& faults, Findings& found) {
  for (std::size_t i = 0; i < std::min(kMostShown, faults.size()); ++i)
    found.add(code, subject, faults[i]);
  if (faults.size() > kMostShown)
    found.add(code, subject, fmt::format("and {} more", faults.size() - kMostShown));
}

void check_commit(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  if (!promise.recipe || promise.commit.empty()) return;
  for (const KnownBad& bad : promise.recipe->known_bad) {
    const bool is_it = std::ranges::any_of(bad.commits, [&](const std::string& commit) {
      return promise.commit.starts_with(commit) || commit.starts_with(promise.commit);
    });
    const bool is_mended = !bad.mended_by.empty() &&
                           std::ranges::find(promise.rules, bad.mended_by) != promise.rules.end();
    if (is_it && !is_mended && bad.shows_on(promise.archs))
      found.add("SB150", wheel.file,
                fmt::format("{}: {}", promise.commit.substr(0, 12), bad.reason));
  }
}

}  // namespace

void check_wheel(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  add_all("SB140", wheel.file, wheel.faults.archive, found);
  add_all("SB141", wheel.file, wheel.faults.metadata, found);
  add_all("SB142", wheel.file, wheel.faults.tags, found);
  add_all("SB143", wheel.file, wheel.faults.record, found);
  add_all("SB144", wheel.file, wheel.unreadable, found);
  check_commit(wheel, promise, found);
}

}  // namespace sagebuild::verifying
