#pragma once
// The tokens of a C++ text, and where each stands. Private to this folder.

#include <cstddef>
#include <functional>
#include <string_view>
#include <unordered_map>

namespace sagebuild::nvcc {

struct Token {
  enum class Kind { word, literal, punctuation, end };
  Kind kind = Kind::end;
  std::string_view text;
  std::size_t begin = 0;
  std::size_t end = 0;

  bool is(std::string_view other) const { return kind != Kind::literal && text == other; }
};

// Of a preprocessed text, or of a source as it was written: line markers tell where it stands,
// other directives and comments are passed over. `<<<` and `::` are one token each, all other
// punctuation is a token for each character. Both arguments outlive it.
class Lexer {
 public:
  // `is_own` says of a file's name in line markers whether it is the project's.
  Lexer(std::string_view text, const std::function<bool(std::string_view)>& is_own)
      : text_(text), is_own_(is_own) {}

  Token next();

  // Of the token that was read last.
  bool in_own() const { return in_own_; }
  struct Place {
    std::size_t line = 1;
    std::string_view file = "\"\"";  // with its quotes
  };
  const Place& place() const { return place_; }

  // How many pragmas it has passed that may hold for what follows (pack, GCC optimize, ...).
  std::size_t lasting_pragmas() const { return lasting_pragmas_; }

  // How often a word stood in files of the project's, so far; "section" also in strings.
  std::size_t uses(std::string_view word) const;

 private:
  Token token(Token::Kind kind, std::size_t begin) const;
  Token literal(std::size_t begin);
  bool at_quote() const;
  void skip_blanks();
  std::size_t comment_length() const;
  void take_directive();
  std::string_view take_word();
  void take_literal(bool is_raw);
  void take_raw_string();

  std::string_view text_;
  const std::function<bool(std::string_view)>& is_own_;
  std::size_t at_ = 0;
  bool at_line_start_ = true;
  Place place_;
  bool in_own_ = false;
  std::size_t lasting_pragmas_ = 0;
  std::unordered_map<std::string_view, bool> own_files_;
  std::unordered_map<std::string_view, std::size_t> uses_;
};

}  // namespace sagebuild::nvcc
