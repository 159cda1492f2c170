#pragma once
// Options in the words of a compiler's command.

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

// The value of the option at words[at], written "-std=c++17" or "-std" "c++17", under any of its
// names; then `at` is the place of the value. Nothing if another word stands there. The words must
// outlive it.
std::optional<std::string_view> value_of(const std::vector<std::string>& words, std::size_t& at,
                                         std::initializer_list<std::string_view> names);

}  // namespace sagebuild
