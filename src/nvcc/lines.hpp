#pragma once
// The lines of a preprocessed text. Private to the folder.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

namespace sagebuild {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
}

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
  // To be told of every line in turn. Says whether it begins inside.
  bool begins_inside(std::string_view line) {
    const bool inside = !end_.empty();
    if (inside || line.find("R\"") != std::string_view::npos) take(line);
    return inside;
  }

 private:
  void take(std::string_view line) {
    std::size_t at = 0;
    while (at < line.size()) {
      if (!end_.empty()) {
        const auto end = line.find(end_, at);
        if (end == std::string_view::npos) return;
        at = end + end_.size();
        end_.clear();
      } else if (line[at] == '"' && at > 0 && line[at - 1] == 'R' && is_prefix(line, at)) {
        const auto open = line.find('(', at);
        if (open == std::string_view::npos) return;
        end_ = fmt::format("){}\"", line.substr(at + 1, open - at - 1));
        at = open + 1;
      } else if (line[at] == '"' || (line[at] == '\'' && !is_in_number(line, at))) {
        at = end_of_literal(line, at);
      } else {
        ++at;
      }
    }
  }

  static std::size_t word_start(std::string_view line, std::size_t at) {
    while (at > 0 && (is_word(line[at - 1]) || line[at - 1] == '\'')) --at;
    return at;
  }
  // R, LR, uR, UR and u8R: any other word before a quote is a macro's or a user's.
  static bool is_prefix(std::string_view line, std::size_t quote) {
    const auto start = word_start(line, quote);
    constexpr std::array<std::string_view, 5> kPrefixes = {"R", "LR", "uR", "UR", "u8R"};
    return std::ranges::find(kPrefixes, line.substr(start, quote - start)) != kPrefixes.end();
  }
  static bool is_in_number(std::string_view line, std::size_t quote) {
    return quote > 0 && is_word(line[quote - 1]) && is_digit(line[word_start(line, quote)]);
  }
  static std::size_t end_of_literal(std::string_view line, std::size_t at) {
    const char quote = line[at];
    for (++at; at < line.size(); ++at) {
      if (line[at] == '\\')
        ++at;
      else if (line[at] == quote)
        return at + 1;
    }
    return line.size();
  }

  std::string end_;  // of the one that is open: )delimiter"
};

}  // namespace sagebuild
