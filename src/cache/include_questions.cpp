#include "cache/include_questions.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <optional>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view kBlanks = " \t\f\v\r";
constexpr std::string_view kInWord =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$";
// The last two are what gcc before 10 makes of the first two.
constexpr std::array<std::string_view, 5> kAsking = {"__has_include", "__has_include_next",
                                                     "__has_embed", "__has_include__",
                                                     "__has_include_next__"};
using Names = std::set<std::string, std::less<>>;

bool in_word(char c) { return static_cast<unsigned char>(c) >= 0x80 || kInWord.find(c) != npos; }
bool is_asking(std::string_view word) { return std::ranges::find(kAsking, word) != kAsking.end(); }

// A piece that ## or a macro for it may put together with another to one of the words above.
bool is_part_of_asking(std::string_view word) {
  return std::ranges::any_of(kAsking, [&](std::string_view whole) {
    constexpr std::size_t kHead = 5;  // "__has"
    return word.size() < whole.size() &&
           ((word.size() >= kHead && whole.starts_with(word)) ||
            (word.size() + kHead >= whole.size() && whole.ends_with(word)));
  });
}

struct Token {
  std::string_view text;
  std::size_t end;  // its place in the line behind it
  bool is_word() const { return in_word(text.front()); }
};

// The words, strings and signs of a directive. Comments are left out; a quote that nothing closes
// is a sign.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) {}

  std::optional<Token> next() {
    skip_blanks();
    if (at_ >= text_.size()) return std::nullopt;
    const std::size_t begin = at_;
    if (in_word(text_[at_])) {
      while (at_ < text_.size() && in_word(text_[at_])) ++at_;
    } else if (text_[at_] == '"' || text_[at_] == '\'') {
      at_ = end_of_literal();
    } else {
      at_ += text_.substr(at_).starts_with("##") ? 2 : 1;
    }
    return Token{text_.substr(begin, at_ - begin), at_};
  }
  std::optional<Token> peek() const { return Line(*this).next(); }
  bool take(std::string_view expected) {
    const auto token = peek();
    if (!token || token->text != expected) return false;
    at_ = token->end;
    return true;
  }
  // The text up to `end`, taken with it.
  std::optional<std::string_view> take_until(char end) {
    const auto found = text_.find(end, at_);
    if (found == npos) return std::nullopt;
    const auto taken = text_.substr(at_, found - at_);
    at_ = found + 1;
    return taken;
  }
  char at_once() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  std::string_view rest() const { return text_.substr(at_); }
  bool ends_in_comment() const { return in_comment_; }

 private:
  void skip_blanks() {
    while (at_ < text_.size()) {
      if (kBlanks.find(text_[at_]) != npos) {
        ++at_;
      } else if (text_.substr(at_).starts_with("//")) {
        at_ = text_.size();
      } else if (text_.substr(at_).starts_with("/*")) {
        const auto end = text_.find("*/", at_ + 2);
        in_comment_ = end == npos;
        at_ = in_comment_ ? text_.size() : end + 2;
      } else {
        break;
      }
    }
  }
  std::size_t end_of_literal() const {
    for (std::size_t end = at_ + 1; end < text_.size(); ++end) {
      if (text_[end] == text_[at_]) return end + 1;
      if (text_[end] == '\\') ++end;
    }
    return at_ + 1;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool in_comment_ = false;
};

// What one directive asks, given the macros that hand on their argument.
class Directive {
 public:
  Directive(std::string_view text, const Names& forwarders) : line_(text), forwarders_(forwarders) {
    const auto kind = line_.next();
    if (kind && kind->text == "define") read_define();
    before_ = {};
    const Line body = line_;
    while (const auto token = line_.next()) take(*token);
    if (has_part_ && body.rest().find_first_of("{;") == npos) computed = true;
  }

  Names names;
  std::optional<std::string> forwarder;  // what it defines
  std::string defined;                   // the macro
  bool computed = false;

 private:
  void read_define() {
    const auto name = line_.next();
    if (!name) return;
    defined = name->text;
    if (line_.at_once() != '(') return;
    const auto list = line_.take_until(')');
    parameter_ = list ? trimmed(list->substr(1)) : "";
    if (!std::ranges::all_of(parameter_, in_word)) parameter_ = "";
    makes_text_ = line_.rest().find('#') != npos;
  }

  void take(const Token& token) {
    const std::string_view word = token.text;
    const bool only_tested = before_ == "defined" || (before_ == "(" && before_that_ == "defined");
    before_that_ = before_;
    before_ = word;
    if (!token.is_word() || only_tested) return;
    if (is_asking(word)) {
      take_question(true);
    } else if (forwarders_.contains(word)) {
      take_question(false);
    } else if (is_part_of_asking(word)) {
      has_part_ = true;
    }
  }

  // Behind the asking word. `directly`: it is the compiler's own, which may have more arguments
  // (__has_embed).
  void take_question(bool directly) {
    computed = !(line_.take("(") && take_operand(directly)) || computed;
    before_ = {};
  }

  bool take_operand(bool directly) {
    const auto first = line_.next();
    if (!first) return false;
    if (first->text == "<") {
      const auto name = line_.take_until('>');
      if (!name || (!directly && (name->find_first_of(kBlanks) != npos ||
                                  name->find("//") != npos || name->find("/*") != npos)))
        return false;
      names.insert("<" + std::string(*name));
    } else if (first->text.front() == '"' && first->text.size() > 2) {
      names.insert(std::string(first->text.substr(0, first->text.size() - 1)));
    } else if (!parameter_.empty() && first->text == parameter_ && !makes_text_) {
      forwarder = defined;
    } else {
      return false;
    }
    return line_.take(")") || directly;
  }

  Line line_;
  const Names& forwarders_;
  std::string_view parameter_;  // the only one
  std::string_view before_, before_that_;
  bool makes_text_ = false;
  bool has_part_ = false;
};

// Takes lines from a text. What is a comment is not known (code_text takes a second for 1,800
// headers): each line that may be the beginning of a directive is one.
class DirectiveLines {
 public:
  explicit DirectiveLines(std::string_view text) : text_(text) {}

  std::optional<std::string> next() {
    while (!text_.empty()) {
      const std::string_view line = take_line();
      const auto begin = behind_hash(line);
      if (begin == npos) continue;
      std::string directive(line.substr(begin));
      while (join_spliced(directive) || join_commented(directive)) {
      }
      return directive;
    }
    return std::nullopt;
  }

 private:
  std::string_view take_line() {
    const auto end = std::min(text_.find('\n'), text_.size());
    const auto line = text_.substr(0, end);
    text_.remove_prefix(std::min(end + 1, text_.size()));
    return line;
  }

  static std::size_t behind_hash(std::string_view line) {
    for (auto at = line.find_first_of("#%"); at != npos; at = line.find_first_of("#%", at + 1)) {
      const bool digraph = line.substr(at).starts_with("%:");
      if (line[at] == '%' && !digraph) continue;
      const auto before = trimmed(line.substr(0, at));
      const bool behind_comment = before.ends_with("*/") || before == "/";
      if (before.empty() || behind_comment) return at + (digraph ? 2 : 1);
    }
    return npos;
  }

  bool join_spliced(std::string& directive) {
    const auto last = directive.find_last_not_of(kBlanks);
    if (last == npos || directive[last] != '\\' || text_.empty()) return false;
    directive.resize(last);
    directive += take_line();
    return true;
  }

  bool join_commented(std::string& directive) {
    Line line(directive);
    while (line.next()) {
    }
    if (!line.ends_in_comment() || text_.empty()) return false;
    bool closed = false;
    while (!closed && !text_.empty()) {
      const auto more = take_line();
      directive += ' ';
      directive += more;
      closed = more.find("*/") != npos;
    }
    return true;
  }

  std::string_view text_;
};

// Trigraphs, and a digraph that a splice breaks.
std::string with_plain_signs(std::string_view text) {
  std::string plain = replaced(replaced(std::string(text), "?\?=", "#"), "?\?/", "\\");
  return replaced(std::move(plain), "%\\\n:", "%:");
}

bool may_ask(std::string_view directive) {
  static const Names kNever = {"include_next", "import", "error",   "warning", "line",
                               "ident",        "sccs",   "else",    "endif",   "ifdef",
                               "ifndef",       "undef",  "elifdef", "elifndef"};
  Line line(directive);
  const auto kind = line.next();
  if (!kind || kNever.contains(kind->text)) return false;
  if (kind->text != "include" && kind->text != "embed" && kind->text != "pragma") return true;
  return std::ranges::any_of(kAsking, [&](auto word) { return directive.find(word) != npos; });
}

// An ELF file or an archive, as a link reads them by the gigabyte.
bool is_binary(const std::filesystem::path& path) {
  if (is_elf(path)) return true;
  std::array<char, 8> head{};
  std::ifstream(path, std::ios::binary).read(head.data(), head.size());
  const std::string_view text(head.data(), head.size());
  return text == "!<arch>\n" || text == "!<thin>\n";
}

// `linux` and `unix` are macros of the value 1 in gnu modes, and what is between <> may be
// expanded.
void add_expanded(Names& names, std::string_view operand) {
  std::string expanded;
  for (std::size_t at = 0; at < operand.size();) {
    std::size_t end = at;
    while (end < operand.size() && in_word(operand[end])) ++end;
    const auto word = operand.substr(at, std::max<std::size_t>(end - at, 1));
    expanded += word == "linux" || word == "unix" ? "1" : word;
    at += word.size();
  }
  names.insert(std::move(expanded));
}

Names words_of(std::string_view operand) {
  Names words;
  for (std::size_t at = 0; at < operand.size(); ++at) {
    const std::size_t begin = at;
    while (at < operand.size() && in_word(operand[at])) ++at;
    if (at > begin) words.emplace(operand.substr(begin, at - begin));
  }
  return words;
}

}  // namespace

std::vector<std::string> asking_directives(std::string_view text) {
  const bool plain = text.find("?\?") == npos && text.find("%\\") == npos;
  const std::string replaced_text = plain ? "" : with_plain_signs(text);
  DirectiveLines lines(plain ? text : replaced_text);
  std::vector<std::string> directives;
  while (auto directive = lines.next()) {
    if (may_ask(*directive)) directives.push_back(std::move(*directive));
  }
  return directives;
}

IncludeQuestions questions_in(const std::vector<const std::vector<std::string>*>& directives) {
  const auto mentions = [](std::string_view line, const Names& words) {
    return std::ranges::any_of(words, [&](const auto& word) { return line.find(word) != npos; });
  };
  IncludeQuestions questions;
  Names names, forwarders, expanding;
  const Names direct = {"__has", "_include", "_embed"};  // and parts of them
  Names looked_for = direct;
  // Again with what was found to hand on its argument, until nothing new is.
  for (bool grows = true; grows;) {
    grows = false;
    for (std::size_t i = 0; i < directives.size(); ++i) {
      for (const std::string& line : *directives[i]) {
        if (!mentions(line, looked_for)) continue;
        Directive directive(line, forwarders);
        if (directive.computed && !questions.computed_in) questions.computed_in = i;
        names.merge(directive.names);
        if (directive.forwarder && forwarders.insert(*directive.forwarder).second) grows = true;
      }
    }
    looked_for = forwarders;
  }
  Names expanded, words;
  for (const std::string& name : names) {
    if (!name.starts_with('<')) continue;
    add_expanded(expanded, name);
    words.merge(words_of(name));
  }
  names.merge(expanded);
  for (std::size_t i = 0; i < directives.size() && !questions.computed_in && !words.empty(); ++i) {
    for (const std::string& line : *directives[i]) {
      Line reader(line);
      if (!reader.take("define")) continue;
      const auto name = reader.next();
      if (name && words.contains(name->text)) questions.computed_in = i;
    }
  }
  questions.names.assign(names.begin(), names.end());
  return questions;
}

namespace {

std::optional<std::string> text_if_readable(const std::filesystem::path& path) {
  try {
    return read_file_if_exists(path);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

const std::vector<std::string>* DirectiveReader::of(const std::filesystem::path& path,
                                                    const FileContent& content) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = known_.find(content.bytes); found != known_.end()) return &found->second;
  }
  std::vector<std::string> directives;
  if (!is_binary(path)) {
    const auto text = text_if_readable(path);
    if (!text || sha256(*text) != content.bytes) return nullptr;
    directives = asking_directives(*text);
  }
  const std::lock_guard lock(mutex_);
  return &known_.try_emplace(content.bytes, std::move(directives)).first->second;
}

}  // namespace sagebuild
