#pragma once
// The subset of ninja files that torch.utils.cpp_extension writes: variables, rules with a command,
// build statements. https://ninja-build.org/manual.html, "Ninja file reference".

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

struct NinjaBuild {
  std::vector<std::string> outputs;
  std::string rule;
  std::vector<std::string> inputs;  // explicit ones
  std::string command;              // the rule's command, expanded: shell text
};

// Throws Error{failed} with NAME:LINE for what it does not understand (subninja, include, pools, an
// undefined rule).
std::vector<NinjaBuild> parse_ninja(std::string_view text, std::string_view name);

}  // namespace sagebuild
