#pragma once
// What is wrong between a rule and a text, in words that lead to the place: for whoever mends the
// rule. Private to this folder.

#include <string>
#include <vector>

#include "patch/rule_edits.hpp"

namespace sagebuild {

// What keeps a rule from being applied: it matches too often, or not often enough. Empty: nothing.
std::string reason_against(const Rule& rule, const RuleEdits& found, const ParsedText& current);

// What the rule says must be gone, and is in the result's code; a line each.
std::vector<std::string> left_behind(const Rule& rule, const ParsedText& result);

}  // namespace sagebuild
