// A recipe's rules on all files of a tree that they are for.

#include <fmt/format.h>

#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/patch/patch.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

namespace fs = std::filesystem;

std::vector<PatchOutcome> patch_folder(const RuleSet& rules, const fs::path& folder) {
  std::vector<PatchOutcome> outcomes;
  std::set<std::string> seen;
  for (const Rule& rule : rules.rules) {
    if (!seen.insert(rule.file).second) continue;
    const auto text = read_file_if_exists(folder / rule.file);
    if (text) {
      outcomes.push_back(patch_text(rules, rule.file, *text));
    } else if (!rule.optional_file) {
      PatchOutcome missing;
      missing.file = rule.file;
      missing.failures.push_back(
          fmt::format("'{}' is not there; rule '{}' is for it", rule.file, rule.id));
      outcomes.push_back(std::move(missing));
    }
  }
  return outcomes;
}

void require_patched(const std::vector<PatchOutcome>& outcomes) {
  std::vector<std::string> failures;
  std::string files;
  for (const PatchOutcome& outcome : outcomes) {
    if (outcome.failures.empty()) continue;
    files += (files.empty() ? "'" : ", '") + outcome.file + "'";
    failures.insert(failures.end(), outcome.failures.begin(), outcome.failures.end());
  }
  if (failures.empty()) return;
  throw Error(ErrorKind::failed, "cannot patch " + files, failures,
              "nothing was written; `--recipe FILE` takes rules of your own");
}

PatchedTree patch_tree(const Checkout& checkout, const Recipe& recipe,
                       const std::vector<PatchOutcome>& outcomes) {
  const fs::path folder = checkout.root / recipe.subfolder;
  PatchedTree tree{checkout, {}};
  for (const PatchOutcome& outcome : outcomes) {
    if (!outcome.failures.empty()) continue;
    if (outcome.changed()) write_file(folder / outcome.file, outcome.after);
    tree.rules.insert(tree.rules.end(), outcome.rules.begin(), outcome.rules.end());
  }
  return tree;
}

}  // namespace sagebuild
