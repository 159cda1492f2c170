#pragma once
// What the system refused, as an Error with path, reason and next step. Private to this folder.

#include <filesystem>
#include <string_view>

namespace sagebuild {

// "cannot WHAT 'PATH'" for an errno value.
[[noreturn]] void fail(std::string_view what, const std::filesystem::path& path, int number);

}  // namespace sagebuild
