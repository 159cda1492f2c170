#pragma once
// Shell completion, written from the commands that there are.

#include <string>
#include <string_view>
#include <vector>

#include "cli/command_facts.hpp"

namespace sagebuild {

// `shell` is bash, zsh or fish; Error{usage} for another.
std::string completion_script(const std::vector<CommandFacts>& commands, std::string_view shell);

}  // namespace sagebuild
