#include "patch/rule_edits.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace sagebuild {
namespace {

constexpr std::size_t kCaptures = 10;

using Submatches = std::array<re2::StringPiece, kCaptures>;

std::size_t offset_in(std::string_view text, const re2::StringPiece& part) {
  return static_cast<std::size_t>(part.data() - text.data());
}

// One rule at work on one text.
class RuleAtWork {
 public:
  RuleAtWork(const Rule& rule, const ParsedText& current, const Values& values)
      : rule_(rule),
        text_(current.file.plain()),
        python_(current.python),
        replacement_(with_values(rule.replacement, values)) {
    if (current.file.uses_tabs()) replacement_ = with_tabs(replacement_);
  }

  RuleEdits run() {
    const std::vector<TextRange> scopes = find_scopes();
    found_.scopes = scopes.size();
    for (const TextRange& scope : scopes) edit_scope(scope);
    return std::move(found_);
  }

 private:
  std::vector<TextRange> find_scopes() const {
    if (rule_.scope == Scope::file) return {{0, text_.size()}};
    std::vector<TextRange> scopes;
    if (rule_.scope == Scope::call) return find_calls();
    std::size_t end = 0;
    for (std::size_t index = 0; index < python_.lines().size(); ++index) {
      const TextRange line = python_.lines()[index].range;
      if (line.begin < end) continue;
      if (rule_.scope == Scope::line) {
        scopes.push_back(line);
      } else if (starts_code(line)) {
        scopes.push_back(python_.block_at(index));
        end = scopes.back().end;
      }
    }
    return scopes;
  }

  bool starts_code(TextRange line) const {
    const std::string_view text = text_.substr(line.begin, line.end - line.begin);
    re2::StringPiece match;
    return rule_.start->Match({text.data(), text.size()}, 0, text.size(), RE2::UNANCHORED, &match,
                              1) &&
           is_code(offset_in(text_, match), match.size());
  }

  std::vector<TextRange> find_calls() const {
    std::vector<TextRange> calls;
    const re2::StringPiece all(text_.data(), text_.size());
    re2::StringPiece match;
    for (std::size_t at = 0; at < text_.size();) {
      if (!rule_.start->Match(all, at, text_.size(), RE2::UNANCHORED, &match, 1)) break;
      const std::size_t begin = offset_in(text_, match);
      const auto call = is_code(begin, match.size()) ? python_.call_at(begin, begin + match.size())
                                                     : std::nullopt;
      if (call) calls.push_back(*call);
      at = call ? call->end : begin + std::max<std::size_t>(match.size(), 1);
    }
    return calls;
  }

  // A match that begins in a comment or inside a string is prose, not code. Leading blanks do not
  // count.
  bool is_code(std::size_t begin, std::size_t size) const {
    std::size_t at = begin;
    while (at < begin + size && (text_[at] == ' ' || text_[at] == '\t' || text_[at] == '\n')) ++at;
    return python_.is_code(at);
  }

  void edit_scope(TextRange scope) {
    const re2::StringPiece text(text_.data() + scope.begin, scope.end - scope.begin);
    const std::size_t before = found_.edits.size();
    Submatches groups;
    for (std::size_t at = 0; at <= text.size();) {
      if (!rule_.pattern->Match(text, at, text.size(), RE2::UNANCHORED, groups.data(),
                                static_cast<int>(kCaptures)))
        break;
      const std::size_t begin = offset_in(text_, groups[0]);
      if (rule_.prose || is_code(begin, groups[0].size()))
        found_.edits.push_back(make_edit(begin, groups));
      at = begin - scope.begin + std::max<std::size_t>(groups[0].size(), 1);
    }
    if (found_.edits.size() == before) ++found_.scopes_without_match;
  }

  Edit make_edit(std::size_t begin, const Submatches& groups) const {
    std::vector<std::string_view> captures;
    for (const re2::StringPiece& group : groups) captures.emplace_back(group.data(), group.size());
    const std::size_t line =
        python_.lines().empty() ? 0 : python_.lines()[python_.line_of(begin)].range.begin;
    const std::size_t text_begin = text_.find_first_not_of(" \t", line);
    const std::string_view indent = text_.substr(line, std::min(text_begin, text_.size()) - line);
    return {begin, begin + groups[0].size(), expanded(replacement_, captures, indent)};
  }

  const Rule& rule_;
  std::string_view text_;
  const PythonText& python_;
  std::string replacement_;
  RuleEdits found_;
};

}  // namespace

RuleEdits edits_of(const Rule& rule, const ParsedText& current, const Values& values) {
  return RuleAtWork(rule, current, values).run();
}

bool found_in(const Pattern& pattern, std::string_view text) {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern);
}

std::optional<std::size_t> find_in_code(const Pattern& pattern, const ParsedText& current) {
  const std::string_view text = current.file.plain();
  const re2::StringPiece all(text.data(), text.size());
  re2::StringPiece match;
  for (std::size_t at = 0; at <= text.size();) {
    if (!pattern->Match(all, at, text.size(), RE2::UNANCHORED, &match, 1)) break;
    const std::size_t begin = offset_in(text, match);
    if (current.python.is_code(begin)) return begin;
    at = begin + std::max<std::size_t>(match.size(), 1);
  }
  return std::nullopt;
}

}  // namespace sagebuild
