#pragma once
// Unified diffs that `patch -p1` and `git apply` take and `patch -R` undoes.

#include <string>
#include <string_view>

namespace sagebuild {

// Empty if both texts are equal. `file` is relative, with slashes; three lines of context.
std::string unified_diff(std::string_view file, std::string_view before, std::string_view after);

}  // namespace sagebuild
