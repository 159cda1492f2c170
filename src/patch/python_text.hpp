#pragma once
// Just enough of Python's syntax to find where a block or a call ends: strings, comments, brackets,
// indentation.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace sagebuild {

struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Keeps a view: the text must outlive it. Line ends are "\n". Linear in the text.
class PythonText {
 public:
  explicit PythonText(std::string_view text);

  // Not inside a string or comment; an opening quote counts as code.
  bool is_code(std::size_t offset) const {
    return offset >= kinds_.size() || kinds_[offset] == Kind::code;
  }

  struct Line {
    TextRange range;         // with its newline
    std::size_t indent = 0;  // leading blanks, in bytes
    bool continues = false;  // begins inside a string or bracket, or after a backslash
    bool has_code = false;   // something besides blanks and comment
  };
  const std::vector<Line>& lines() const { return lines_; }
  std::size_t line_of(std::size_t offset) const;  // index

  // From the start of that line to the end of what is indented under it, without blank lines and
  // comments behind.
  TextRange block_at(std::size_t line) const;
  // From `begin` to the bracket that closes the first one opened in [begin, limit). Nothing if
  // there is none or it stays open.
  std::optional<TextRange> call_at(std::size_t begin, std::size_t limit) const;

 private:
  enum class Kind : std::uint8_t { code, string, comment };

  void mark_kinds();
  void find_lines();
  void pair_brackets();
  std::size_t mark_string(std::size_t open);
  std::size_t mark_comment(std::size_t begin);

  std::string_view text_;
  std::vector<Kind> kinds_;
  std::vector<Line> lines_;
  std::vector<TextRange> brackets_;  // opening and closing offset, by opening offset
};

}  // namespace sagebuild
