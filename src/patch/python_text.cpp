#include "patch/python_text.hpp"

#include <algorithm>

namespace sagebuild {
namespace {

bool opens(char c) { return c == '(' || c == '[' || c == '{'; }
bool closes(char c) { return c == ')' || c == ']' || c == '}'; }
bool quotes(char c) { return c == '"' || c == '\''; }

}  // namespace

PythonText::PythonText(std::string_view text) : text_(text), kinds_(text.size(), Kind::code) {
  mark_kinds();
  find_lines();
  pair_brackets();
}

void PythonText::mark_kinds() {
  std::size_t at = 0;
  while (at < text_.size()) {
    if (quotes(text_[at])) {
      at = mark_string(at);
    } else if (text_[at] == '#') {
      at = mark_comment(at);
    } else {
      ++at;
    }
  }
}

// Returns the offset behind the string. A string that a line end cuts off ends there, as Python
// would complain there.
std::size_t PythonText::mark_string(std::size_t open) {
  const char quote = text_[open];
  const bool triple =
      text_.size() - open >= 3 && text_[open + 1] == quote && text_[open + 2] == quote;
  const std::size_t width = triple ? 3 : 1;
  std::size_t at = open + width;
  while (at < text_.size()) {
    if (text_[at] == '\\') {
      at += 2;  // also in raw strings: there a backslash keeps the quote from closing, too
    } else if (text_[at] == '\n' && !triple) {
      break;
    } else if (text_[at] == quote && text_.substr(at, width) == text_.substr(open, width)) {
      at += width;
      break;
    } else {
      ++at;
    }
  }
  at = std::min(at, text_.size());
  std::fill(kinds_.begin() + static_cast<std::ptrdiff_t>(open + 1),
            kinds_.begin() + static_cast<std::ptrdiff_t>(at), Kind::string);
  return at;
}

std::size_t PythonText::mark_comment(std::size_t begin) {
  const std::size_t end = std::min(text_.find('\n', begin), text_.size());
  std::fill(kinds_.begin() + static_cast<std::ptrdiff_t>(begin),
            kinds_.begin() + static_cast<std::ptrdiff_t>(end), Kind::comment);
  return end;
}

void PythonText::find_lines() {
  std::size_t depth = 0;
  bool after_backslash = false;
  for (std::size_t begin = 0; begin < text_.size();) {
    const std::size_t newline = text_.find('\n', begin);
    const std::size_t end = newline == std::string_view::npos ? text_.size() : newline + 1;
    Line line;
    line.range = {begin, end};
    line.continues = depth > 0 || after_backslash || kinds_[begin] == Kind::string;
    while (begin + line.indent < end &&
           (text_[begin + line.indent] == ' ' || text_[begin + line.indent] == '\t')) {
      ++line.indent;
    }
    char last = 0;
    for (std::size_t at = begin; at < end; ++at) {
      const char c = text_[at];
      if (kinds_[at] == Kind::comment || c == '\n') continue;
      last = c;
      line.has_code = line.has_code || (c != ' ' && c != '\t');
      if (kinds_[at] != Kind::code) continue;
      if (opens(c)) ++depth;
      if (closes(c) && depth > 0) --depth;
    }
    after_backslash = last == '\\';
    lines_.push_back(line);
    begin = end;
  }
}

std::size_t PythonText::line_of(std::size_t offset) const {
  const auto after = std::ranges::upper_bound(lines_, offset, {},
                                              [](const Line& line) { return line.range.begin; });
  return after == lines_.begin() ? 0 : static_cast<std::size_t>(after - lines_.begin()) - 1;
}

TextRange PythonText::block_at(std::size_t line) const {
  TextRange block = lines_[line].range;
  for (std::size_t next = line + 1; next < lines_.size(); ++next) {
    const Line& candidate = lines_[next];
    const bool inside =
        candidate.continues || (candidate.has_code && candidate.indent > lines_[line].indent);
    if (inside) block.end = candidate.range.end;
    if (!inside && candidate.has_code) break;
  }
  return block;
}

// Once for the whole text, so that many calls that never close do not each scan to its end.
void PythonText::pair_brackets() {
  std::vector<std::size_t> open;  // indices into brackets_
  for (std::size_t at = 0; at < text_.size(); ++at) {
    if (kinds_[at] != Kind::code) continue;
    if (opens(text_[at])) {
      open.push_back(brackets_.size());
      brackets_.push_back({at, std::string_view::npos});
    } else if (closes(text_[at]) && !open.empty()) {
      brackets_[open.back()].end = at;
      open.pop_back();
    }
  }
}

std::optional<TextRange> PythonText::call_at(std::size_t begin, std::size_t limit) const {
  const auto first = std::ranges::lower_bound(brackets_, begin, {}, &TextRange::begin);
  if (first == brackets_.end() || first->begin >= limit || first->end == std::string_view::npos)
    return std::nullopt;
  return TextRange{begin, first->end + 1};
}

}  // namespace sagebuild
