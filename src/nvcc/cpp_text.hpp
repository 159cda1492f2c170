#pragma once
// What C++'s words and literals are made of ([lex.pptoken]): the one place for those who read a
// source, or what a preprocessor made of it. Private to the folder.

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace sagebuild {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Compilers take a $ in names, too.
inline bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
}

// Behind the word or the number that begins at `begin`; a number may hold quotes between its
// digits.
inline std::size_t end_of_word(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  const auto separates = [&] {
    return is_digit(text[begin]) && text[at] == '\'' && at + 1 < text.size() &&
           is_word(text[at + 1]);
  };
  while (at < text.size() && (is_word(text[at]) || separates())) ++at;
  return at;
}

// Of a word that a quote follows: whether that begins a raw string. Any other word is a macro's
// or a user's.
inline bool is_raw_prefix(std::string_view word) {
  constexpr std::array<std::string_view, 5> kPrefixes = {"R", "LR", "uR", "UR", "u8R"};
  return std::ranges::find(kPrefixes, word) != kPrefixes.end();
}

inline bool is_literal_prefix(std::string_view word) {
  return is_raw_prefix(word) || word == "L" || word == "u" || word == "U" || word == "u8";
}

// Behind the literal, not a raw one, whose quote stands at `quote`. One that is not closed ends
// with its line, before the line end.
inline std::size_t end_of_literal(std::string_view text, std::size_t quote) {
  std::size_t at = quote + 1;
  while (at < text.size() && text[at] != '\n') {
    if (text[at] == text[quote]) return at + 1;
    at += text[at] == '\\' ? 2 : 1;
  }
  return std::min(at, text.size());
}

}  // namespace sagebuild
