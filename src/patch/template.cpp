#include "patch/template.hpp"

#include <algorithm>
#include <cctype>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr int kDeepest = 8;  // values that name each other in a circle end here

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Placeholder {
  std::size_t begin = std::string_view::npos;  // of "{{"
  std::size_t end = 0;                         // behind "}}"
  std::string name;
};

// The next {{name}}; braces around anything but a name are Python's own.
Placeholder next_placeholder(std::string_view text, std::size_t from) {
  for (std::size_t begin = text.find("{{", from); begin != std::string_view::npos;
       begin = text.find("{{", begin + 1)) {
    std::size_t end = begin + 2;
    while (end < text.size() && (std::islower(static_cast<unsigned char>(text[end])) != 0 ||
                                 is_digit(text[end]) || text[end] == '_')) {
      ++end;
    }
    if (end > begin + 2 && text.substr(end, 2) == "}}") {
      return {begin, end + 2, std::string(text.substr(begin + 2, end - begin - 2))};
    }
  }
  return {};
}

std::string indented(std::string_view text, std::string_view indent) {
  std::string result;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string_view line = text.substr(begin, end - begin);
    if (begin > 0 && line != "\n") result += indent;
    result += line;
    begin = end;
  }
  return result;
}

std::string put_values(std::string_view text, const Values& values, int depth) {
  if (depth > kDeepest)
    throw Error(ErrorKind::usage, "the inserts of a recipe name each other in a circle");
  std::string result;
  std::size_t from = 0;
  while (true) {
    const Placeholder found = next_placeholder(text, from);
    if (found.begin == std::string_view::npos) break;
    const std::size_t line = text.rfind('\n', found.begin) + 1;  // npos + 1 is 0
    const std::string_view lead = text.substr(line, found.begin - line);
    const bool alone = trimmed(lead).empty();
    std::string value = put_values(values.at(found.name), values, depth + 1);
    while (value.ends_with('\n')) value.pop_back();
    result += text.substr(from, found.begin - from);
    result += alone ? indented(value, lead) : value;
    from = found.end;
  }
  result += text.substr(from);
  return result;
}

}  // namespace

int highest_capture(std::string_view text) {
  int highest = -1;
  for (std::size_t at = 0; at + 1 < text.size(); ++at) {
    if (text[at] != '\\') continue;
    ++at;
    if (is_digit(text[at])) highest = std::max(highest, text[at] - '0');
  }
  return highest;
}

std::vector<std::string> value_names(std::string_view text) {
  std::vector<std::string> names;
  for (Placeholder found = next_placeholder(text, 0); found.begin != std::string_view::npos;
       found = next_placeholder(text, found.end)) {
    names.push_back(found.name);
  }
  return names;
}

std::string with_values(std::string_view text, const Values& values) {
  return put_values(text, values, 0);
}

std::string expanded(std::string_view text, const std::vector<std::string_view>& captures,
                     std::string_view indent) {
  std::string result;
  bool line_begins = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (line_begins && text[at] != '\n') result += indent;
    line_begins = false;
    if (text[at] == '\\' && at + 1 < text.size() && is_digit(text[at + 1])) {
      result += captures[static_cast<std::size_t>(text[at + 1] - '0')];
      ++at;
    } else if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == '\\') {
      result += text[++at];
    } else {
      result += text[at];
      line_begins = text[at] == '\n';
    }
  }
  return result;
}

std::string with_tabs(std::string_view text) {
  std::string result;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    std::size_t blanks = 0;
    while (begin + blanks < end && text[begin + blanks] == ' ') ++blanks;
    result.append(blanks / 4, '\t');
    result += text.substr(begin + blanks / 4 * 4, end - begin - blanks / 4 * 4);
    begin = end;
  }
  return result;
}

}  // namespace sagebuild
