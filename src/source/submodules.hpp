#pragma once
// The part of .gitmodules that says where a submodule comes from.

#include <map>
#include <string>
#include <string_view>

namespace sagebuild {

// Path in the tree -> address, as written. Read by our own few lines: libgit2 would follow
// "include" in it.
std::map<std::string, std::string> parse_gitmodules(std::string_view text);

}  // namespace sagebuild
