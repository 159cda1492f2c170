#include "cache/code_text.hpp"

#include <algorithm>
#include <array>

namespace sagebuild {
namespace {

// To be raised when code_text changes, with FileDigests' layout: older digests then match nothing.
constexpr std::string_view kMeaning = "sagebuild code 2";
constexpr auto npos = std::string_view::npos;
constexpr std::string_view kBlanks = " \t\f\v";
constexpr std::string_view kInWord =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$";
// LINE_MAP_MAX_COLUMN_NUMBER of gcc's line-map.h is 4096
constexpr std::size_t kLongestLine = 4000;

bool one_of(char c, std::string_view set) { return set.find(c) != npos; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }
bool in_word(char c) { return beyond_ascii(c) || one_of(c, kInWord); }

bool any_in(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](auto word) { return text.find(word) != npos; });
}

// Where a header may be named, so that // and /* may be part of a name.
bool names_headers(std::string_view directive) {
  return any_in(directive, {"include", "import", "embed", "dependency"}) ||
         (any_in(directive, {"if"}) && directive.find('<') != npos);
}

// Whether something may begin in a directive that goes on behind it. A /* that is closed does not,
// be it a comment or in the name of a header.
bool stays_open(std::string_view directive) {
  const auto open = directive.rfind("/*");
  return (open != npos && directive.find("*/", open + 2) == npos) ||
         any_in(directive, {"R\"", "R\\", "/\\"});
}

bool is_doubtful(std::string_view text) {
  for (auto at = text.find('\r'); at != npos; at = text.find('\r', at + 1))
    if (text.substr(at + 1, 1) != "\n") return true;
  return text.starts_with("\xEF\xBB\xBF") || text.find('\0') != npos ||
         any_in(text, {"?\?/", "?\?=", "?\?'"});
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::optional<std::string> run() {
    doubt_ = is_doubtful(text_);
    while (!doubt_ && at_ < text_.size()) take();
    end_code_line();
    if (doubt_) return std::nullopt;
    return std::move(out_);
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\n';
  }
  void copy(std::size_t count) {
    out_.append(text_.substr(at_, count));
    at_ += count;
  }

  void take() {
    const char c = peek();
    if (one_of(c, kBlanks)) return copy(1);
    if (c == '\n' || c == '\r') return newline();
    if (c == '/' && peek(1) == '/') return line_comment();
    if (c == '/' && peek(1) == '*') return block_comment();
    if (c == '\\' && newline_behind(at_) != npos) return splice();
    if (line_start_ && (c == '#' || text_.substr(at_, 2) == "%:")) return directive();
    line_start_ = false;
    if (c == '"' || c == '\'') return literal(c);
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (in_word(c)) return word();
    copy(1);
  }

  void end_line() {
    if (at_ - line_begin_ > kLongestLine) doubt_ = true;
    out_.resize(out_.find_last_not_of(kBlanks) + 1);
  }

  // A backslash before a comment joins no lines, and without the comment it would.
  void end_code_line() {
    end_line();
    if (out_.ends_with('\\')) doubt_ = true;
  }

  void newline() {
    end_code_line();
    at_ += peek() == '\r' ? 2 : 1;
    out_ += '\n';
    line_begin_ = at_;
    line_start_ = true;
    in_directive_ = false;
  }

  // The place behind the newline that the backslash at `at` takes away, or npos. Blanks between
  // them do not count.
  std::size_t newline_behind(std::size_t at) const {
    const auto end = text_.find_first_not_of(" \t\f\v\r", at + 1);
    return end != npos && text_[end] == '\n' ? end + 1 : npos;
  }

  void splice() {
    const char before = out_.empty() ? '\n' : out_.back();
    const auto next = newline_behind(at_);
    const char behind = next < text_.size() ? text_[next] : '\n';
    const bool apart = one_of(before, " \t\f\v\n;{}(),") || one_of(behind, " \t\f\v\r\n");
    if (one_of(before, "/*") || !apart) doubt_ = true;
    out_ += '\\';
    at_ = text_.find('\n', at_);
    end_line();
    out_ += '\n';
    line_begin_ = at_ = next;
  }

  void line_comment() {
    const auto end = std::min(text_.find('\n', at_), text_.size());
    const auto last = text_.substr(0, end).find_last_not_of(" \t\f\v\r");
    if (text_[last] == '\\') doubt_ = true;
    at_ = end;
  }

  void block_comment() {
    const auto end = text_.find("*/", at_ + 2);
    if (end == npos) {
      doubt_ = true;
      return;
    }
    const std::size_t begin = at_;
    for (; at_ < end + 2; ++at_) {
      const char c = text_[at_];
      if (c == '\\' && text_[at_ - 1] == '*' && newline_behind(at_) != npos) doubt_ = true;
      if (c != '\n') {
        out_ += ' ';
        continue;
      }
      end_line();
      out_.append("\0\n", 2);
      line_begin_ = at_ + 1;
    }
    // What a directive holds behind such a comment is still part of it.
    if (in_directive_ && text_.substr(begin, at_ - begin).find('\n') != npos) {
      const auto rest = text_.substr(at_, logical_end() - at_);
      if (rest.find('<') != npos) doubt_ = true;
    }
  }

  // Of the line at at_, with those that backslashes join to it: its newline, or the end of the
  // text.
  std::size_t logical_end() const {
    std::size_t end = std::min(text_.find('\n', at_), text_.size());
    while (end < text_.size()) {
      const auto last = text_.substr(0, end).find_last_not_of(" \t\f\v\r");
      if (last == npos || last < at_ || text_[last] != '\\') break;
      end = std::min(text_.find('\n', end + 1), text_.size());
    }
    return end;
  }

  void directive() {
    const auto line = text_.substr(at_, logical_end() - at_);
    line_start_ = false;
    in_directive_ = true;
    if (!names_headers(line)) return copy(1);
    if (stays_open(line)) doubt_ = true;
    copy(line.ends_with('\r') ? line.size() - 1 : line.size());
  }

  void literal(char quote) {
    std::size_t end = at_ + 1;
    for (; end < text_.size() && text_[end] != quote; ++end) {
      if (text_[end] == '\n') break;
      if (text_[end] != '\\') continue;
      if (newline_behind(end) != npos) break;
      ++end;
    }
    if (end >= text_.size() || text_[end] != quote) {
      doubt_ = true;
      return;
    }
    copy(end + 1 - at_);
  }

  // A preprocessing number: 0x1.8p-3, 1'000'000, 5_km.
  void number() {
    while (true) {
      if (beyond_ascii(peek())) doubt_ = true;
      if (one_of(peek(), "eEpP") && one_of(peek(1), "+-"))
        copy(2);
      else if (in_word(peek()) || peek() == '.')
        copy(1);
      else if (peek() == '\'' && in_word(peek(1)))
        copy(2);
      else
        break;
    }
    if (peek() == '\'') doubt_ = true;
  }

  void word() {
    const std::size_t begin = at_;
    while (in_word(peek())) copy(1);
    auto name = text_.substr(begin, at_ - begin);
    // A quotation mark beyond ASCII, or a $, may be no part of the word behind it.
    const auto last = std::ranges::find_if(name.rbegin(), name.rend(),
                                           [](char c) { return beyond_ascii(c) || c == '$'; });
    name.remove_prefix(static_cast<std::size_t>(name.rend() - last));
    static constexpr std::array<std::string_view, 5> kRaw = {"R", "LR", "uR", "UR", "u8R"};
    if (peek() == '"' && std::ranges::find(kRaw, name) != kRaw.end()) doubt_ = true;
    if (name == "import") {
      const auto next = text_.find_first_not_of(kBlanks, at_);
      if (next == npos || text_[next] != '(') doubt_ = true;
    }
  }

  std::string_view text_;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t line_begin_ = 0;
  bool line_start_ = true;  // nothing but blanks and comments so far
  bool in_directive_ = false;
  bool doubt_ = false;
};

}  // namespace

bool is_code(const std::filesystem::path& path) {
  static constexpr std::array<std::string_view, 10> kSuffixes = {
      ".h", ".hh", ".hpp", ".hxx", ".cuh", ".cu", ".cpp", ".cc", ".cxx", ".inl"};
  return std::ranges::find(kSuffixes, path.extension().native()) != kSuffixes.end();
}

std::optional<std::string> code_text(std::string_view text) { return Reader(text).run(); }

Digest code_digest(std::string_view text) {
  const auto code = code_text(text);
  if (!code) return sha256(text);
  return Sha256().field(kMeaning).field(*code).finish();
}

bool may_embed(std::string_view text) {
  if (text.find("incbin") != npos) return true;
  constexpr std::string_view kName = "embed";
  for (auto at = text.find(kName); at != npos; at = text.find(kName, at + 1)) {
    const auto end = at + kName.size();
    if ((at > 0 && in_word(text[at - 1])) || (end < text.size() && in_word(text[end]))) continue;
    const auto line = text.substr(0, at).rfind('\n') + 1;  // 0 for the first line
    if (any_in(text.substr(line, at - line), {"#", "%:", "?\?="})) return true;
  }
  return false;
}

}  // namespace sagebuild
