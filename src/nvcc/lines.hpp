#pragma once
// The lines of a preprocessed text. Private to the folder.

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "cpp_text.hpp"

namespace sagebuild {

// Calls back with each line, its end included.
template <class Callback>
void each_line(std::string_view text, Callback callback) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto length = end == std::string_view::npos ? text.size() : end + 1;
    callback(text.substr(0, length));
    text.remove_prefix(length);
  }
}

// Whether lines of a preprocessed text (it has no comments) begin inside a raw string: there a
// blank line, or one that looks like a marker or a directive, is text.
class RawStrings {
 public:
  // Whether the line that comes next begins inside one.
  bool inside() const { return !end_.empty(); }

  // To be told of every line in turn; calls back with the words and numbers outside literals.
  template <class Callback>
  void pass(std::string_view line, Callback on_word) {
    std::size_t at = 0;
    while (at < line.size()) {
      if (inside()) {
        const auto end = line.find(end_, at);
        if (end == std::string_view::npos) return;
        at = end + end_.size();
        end_.clear();
      } else if (is_word(line[at])) {
        const auto end = end_of_word(line, at);
        const std::string_view word = line.substr(at, end - at);
        at = end;
        if (!is_quote(line, at) || !is_literal_prefix(word)) {
          on_word(word);
        } else if (line[at] == '"' && is_raw_prefix(word)) {
          at = open(line, at);
        }
      } else {
        at = is_quote(line, at) ? end_of_literal(line, at) : at + 1;
      }
    }
  }
  void pass(std::string_view line) {
    if (inside() || line.find("R\"") != std::string_view::npos) pass(line, [](auto) {});
  }

  // Both, where the words do not matter.
  bool begins_inside(std::string_view line) {
    const bool result = inside();
    pass(line);
    return result;
  }

 private:
  static bool is_quote(std::string_view line, std::size_t at) {
    return at < line.size() && (line[at] == '"' || line[at] == '\'');
  }
  // Of the raw string whose quote stands at `quote`; gives the place behind its parenthesis.
  std::size_t open(std::string_view line, std::size_t quote) {
    const auto paren = line.find('(', quote);
    if (paren == std::string_view::npos) return line.size();
    end_ = fmt::format("){}\"", line.substr(quote + 1, paren - quote - 1));
    return paren + 1;
  }

  std::string end_;  // of the one that is open: )delimiter"
};

}  // namespace sagebuild
