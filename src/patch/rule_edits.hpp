#pragma once
// One rule on one text: the places that it is for, and what it puts there. Private to this folder.

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "patch/python_text.hpp"
#include "patch/template.hpp"
#include "patch/text_file.hpp"
#include "sagebuild/patch/rule.hpp"

namespace sagebuild {

// A text and its syntax, worked out once for all rules that leave it as it is. Stays where it is:
// `python` looks into `file`.
struct ParsedText {
  TextFile file;
  PythonText python;

  explicit ParsedText(std::string_view text) : file(text), python(file.plain()) {}
  ParsedText(const ParsedText&) = delete;
  ParsedText& operator=(const ParsedText&) = delete;
};

struct RuleEdits {
  std::vector<Edit> edits;  // sorted, without overlaps
  std::size_t scopes = 0;   // where the rule's pattern was tried
  std::size_t scopes_without_match = 0;
};

// Whether that is often enough, and often enough everywhere, is the caller's to say.
RuleEdits edits_of(const Rule& rule, const ParsedText& current, const Values& values);

// Anywhere in the text, comments and strings included.
bool found_in(const Pattern& pattern, std::string_view text);
// Where the pattern is found outside of strings and comments.
std::optional<std::size_t> find_in_code(const Pattern& pattern, const ParsedText& current);

}  // namespace sagebuild
