#pragma once
// Man pages, written from the commands that there are.

#include <string>
#include <vector>

#include "cli/command_facts.hpp"

namespace sagebuild {

// "sagebuild-env-create.1"
std::string man_page_name(const CommandFacts& command);
// In the man macros of groff and mandoc. `commands` are all, for SEE ALSO and global options.
std::string man_page(const CommandFacts& command, const std::vector<CommandFacts>& commands);

}  // namespace sagebuild
