#include "lexer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>

#include "cpp_text.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild::nvcc {
namespace {

// Those that hold for a loop, or for messages alone, change no code that follows.
bool is_lasting(std::string_view pragma) {
  constexpr std::array<std::string_view, 8> kOthers = {
      "unroll", "nounroll", "nv_", "diag_", "GCC unroll", "GCC ivdep", "GCC diagnostic", "hd_"};
  return std::ranges::none_of(kOthers, [&](auto start) { return pragma.starts_with(start); });
}

std::size_t lines_in(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

}  // namespace

Token Lexer::next() {
  skip_blanks();
  const std::size_t begin = at_;
  if (at_ >= text_.size()) return {Token::Kind::end, {}, begin, begin};
  if (is_word(text_[at_])) {
    const std::string_view word = take_word();
    if (at_quote() && is_literal_prefix(word)) {
      take_literal(is_raw_prefix(word));
      return literal(begin);
    }
    if (in_own_) ++uses_[word];
    return token(Token::Kind::word, begin);
  }
  if (at_quote()) {
    take_literal(false);
    return literal(begin);
  }
  if (text_.substr(at_).starts_with("<<<")) {
    at_ += 3;
  } else if (text_.substr(at_).starts_with("::")) {
    at_ += 2;
  } else {
    ++at_;
  }
  return token(Token::Kind::punctuation, begin);
}

std::size_t Lexer::uses(std::string_view word) const {
  const auto found = uses_.find(word);
  return found == uses_.end() ? 0 : found->second;
}

Token Lexer::token(Token::Kind kind, std::size_t begin) const {
  return {kind, text_.substr(begin, at_ - begin), begin, at_};
}

// Assembler text may name a section, as an attribute may.
Token Lexer::literal(std::size_t begin) {
  const Token result = token(Token::Kind::literal, begin);
  if (in_own_ && result.text.find("section") != std::string_view::npos) ++uses_["section"];
  return result;
}

void Lexer::skip_blanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') {
      ++place_.line;
      ++at_;
      at_line_start_ = true;
    } else if (c == '#' && at_line_start_) {
      take_directive();
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++at_;
    } else if (const std::size_t length = comment_length(); length > 0) {
      place_.line += lines_in(text_.substr(at_, length));
      at_ += length;
    } else {
      at_line_start_ = false;
      return;
    }
  }
}

// A preprocessed text has none, a source as it was written has.
std::size_t Lexer::comment_length() const {
  const std::string_view rest = text_.substr(at_);
  if (rest.starts_with("//")) return std::min(rest.find('\n'), rest.size());
  if (rest.starts_with("/*")) return std::min(rest.find("*/", 2), rest.size() - 2) + 2;
  return 0;
}

// A macro's definition may go on behind a backslash.
void Lexer::take_directive() {
  auto end = std::min(text_.find('\n', at_), text_.size());
  while (end < text_.size() && text_[end - 1] == '\\') {
    ++place_.line;
    end = std::min(text_.find('\n', end + 1), text_.size());
  }
  std::string_view rest = text_.substr(at_ + 1, end - at_ - 1);
  at_ = end;
  rest = trimmed(rest);
  if (take_prefix(rest, "pragma ") && is_lasting(trimmed(rest))) ++lasting_pragmas_;
  take_prefix(rest, "line");
  rest = trimmed(rest);
  const auto digits = rest.find_first_not_of("0123456789");
  if (digits == 0 || rest.empty()) return;
  // The line after the marker has the number; its own line end is counted, too.
  place_.line = static_cast<std::size_t>(to_integer(rest.substr(0, digits)).value_or(1)) - 1;
  const auto open = rest.find('"');
  const auto close = rest.rfind('"');
  if (open == std::string_view::npos || close == open) return;
  place_.file = rest.substr(open, close - open + 1);
  auto [known, is_new] = own_files_.try_emplace(place_.file);
  if (is_new) known->second = is_own_(place_.file.substr(1, place_.file.size() - 2));
  in_own_ = known->second;
}

bool Lexer::at_quote() const {
  return at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'');
}

std::string_view Lexer::take_word() {
  const std::size_t begin = std::exchange(at_, end_of_word(text_, at_));
  return text_.substr(begin, at_ - begin);
}

void Lexer::take_raw_string() {
  const std::size_t begin = at_;
  const auto open = text_.find('(', at_);
  at_ = text_.size();
  if (open == std::string_view::npos) return;
  const std::string end = fmt::format("){}\"", text_.substr(begin + 1, open - begin - 1));
  const auto close = text_.find(end, open);
  if (close != std::string_view::npos) at_ = close + end.size();
  place_.line += lines_in(text_.substr(begin, at_ - begin));
}

void Lexer::take_literal(bool is_raw) {
  if (is_raw) return take_raw_string();
  const std::size_t begin = std::exchange(at_, end_of_literal(text_, at_));
  place_.line += lines_in(text_.substr(begin, at_ - begin));
}

}  // namespace sagebuild::nvcc
