#pragma once
// Replacement texts: \0..\9 are captures, {{name}} is a named value, which may be many lines and is
// indented to its place.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

using Values = std::map<std::string, std::string>;

int highest_capture(std::string_view text);                   // -1: none
std::vector<std::string> value_names(std::string_view text);  // of {{name}}

// Puts the values in, also those that values name. A value that stands alone on a line gets that
// line's indentation.
std::string with_values(std::string_view text, const Values& values);

// The text that replaces one match. Lines of the template after the first begin with `indent`;
// captured text stays as it is.
std::string expanded(std::string_view text, const std::vector<std::string_view>& captures,
                     std::string_view indent);

// Leading groups of four blanks as tabs.
std::string with_tabs(std::string_view text);

}  // namespace sagebuild
