#pragma once
// Applies rules: every rule matches as often as it says, or all failures are listed and nothing is
// changed.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/source.hpp"
#include "sagebuild/patch/rule.hpp"

namespace sagebuild {

struct PatchOutcome {
  std::string file;   // relative to the folder of setup.py
  std::string shape;  // of setup.py; empty for other files
  std::string note;   // what the user must know of that shape
  std::string before;
  std::string after;
  std::vector<AppliedRule> rules;
  std::vector<std::string> failures;  // one line each: rule, file, nearest place, reason
  // With failures: "RULE: why" of each rule for this file that no plan makes up for
  std::vector<std::string> lost;
  // The shape is right by itself: no rule for setup.py was applied
  bool as_is = false;
  // The recipe knows this shape and says that it cannot be built
  bool refused = false;

  bool changed() const { return before != after; }
};

// Applies the rules for `file`. Line ends, byte-order mark, tabs, a missing last newline and the
// coding that a Python file declares (PEP 263; single-byte ones) stay as they are; what declares
// none must be UTF-8. Time is linear in the text. Never throws for what the text holds: failures
// are in the outcome, whose `after` then equals `before`.
PatchOutcome patch_text(const RuleSet& rules, std::string_view file, std::string_view text);

// All files of the tree that rules are for, relative to `folder` (where setup.py is). Reads, writes
// nothing.
std::vector<PatchOutcome> patch_folder(const RuleSet& rules, const std::filesystem::path& folder);

// Throws Error{failed} "cannot patch ..." with every failure as a cause; does nothing if there is
// none.
void require_patched(const std::vector<PatchOutcome>& outcomes);

// Writes the files of a checkout whose rules all fit (patch_folder of it); the others stay as they
// are, for the caller to say so, or to refuse before.
PatchedTree patch_tree(const Checkout& checkout, const Recipe& recipe,
                       const std::vector<PatchOutcome>& outcomes);

}  // namespace sagebuild
