#include "patch/complaints.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// The words of a pattern that a reader would look for.
std::vector<std::string> words_of(const Rule& rule) {
  std::string source = rule.start ? rule.start->pattern() + " " : "";
  source += rule.pattern->pattern();
  std::set<std::string> words;
  std::string word;
  for (std::size_t at = 0; at <= source.size(); ++at) {
    const char c = at < source.size() ? source[at] : ' ';
    if (c == '\\') ++at;  // a class such as \d, or a quoted sign
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      word += c;
      continue;
    }
    if (word.size() >= 4) words.insert(word);
    word.clear();
  }
  return {words.begin(), words.end()};
}

// The line that shares most words with the rule: where a reader should look.
std::string nearest_place(const Rule& rule, std::string_view text) {
  const std::vector<std::string> words = words_of(rule);
  std::size_t best = 0;
  std::size_t number = 0;
  std::size_t best_number = 0;
  std::string_view best_line;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    std::size_t score = 0;
    for (const std::string& word : words)
      score += line.find(word) != std::string_view::npos ? 1U : 0U;
    if (score <= best) continue;
    best = score;
    best_number = number;
    best_line = trimmed(line);
  }
  if (best == 0) return "nothing like it in the file";
  constexpr std::size_t kShown = 100;
  return fmt::format("nearest is line {}: {}{}", best_number, best_line.substr(0, kShown),
                     best_line.size() > kShown ? "..." : "");
}

std::string failure(const Rule& rule, std::string_view reason, std::string_view place) {
  return fmt::format("rule '{}' {} in '{}'; {} (why the rule: {})", rule.id, reason, rule.file,
                     place, rule.why);
}

// "it matches on lines 37, 52", for a rule that matches too often.
std::string matched_lines(const std::vector<Edit>& edits, const PythonText& python) {
  constexpr std::size_t kShown = 5;
  std::string lines;
  for (std::size_t index = 0; index < std::min(edits.size(), kShown); ++index) {
    lines += fmt::format("{}{}", index == 0 ? "" : ", ", python.line_of(edits[index].begin) + 1);
  }
  return "it matches on lines " + lines + (edits.size() > kShown ? " ..." : "");
}

}  // namespace

std::string reason_against(const Rule& rule, const RuleEdits& found, const ParsedText& current) {
  const std::size_t count = found.edits.size();
  if (!rule.count.fits(count)) {
    const bool too_many = count > rule.count.most;
    return failure(rule, fmt::format("expects {} and found {}", rule.count.text(), count),
                   too_many ? matched_lines(found.edits, current.python)
                            : nearest_place(rule, current.file.plain()));
  }
  if (rule.every && found.scopes_without_match > 0) {
    return failure(rule,
                   fmt::format("fits only {} of {} places",
                               found.scopes - found.scopes_without_match, found.scopes),
                   nearest_place(rule, current.file.plain()));
  }
  return "";
}

std::vector<std::string> left_behind(const Rule& rule, const ParsedText& result) {
  std::vector<std::string> complaints;
  const std::string& text = result.file.plain();
  for (const Pattern& unwanted : rule.gone) {
    const auto found = find_in_code(unwanted, result);
    if (!found) continue;
    const std::size_t line = result.python.line_of(*found);
    const TextRange range = result.python.lines()[line].range;
    const std::string text_there(
        trimmed(std::string_view(text).substr(range.begin, range.end - range.begin)));
    complaints.push_back(failure(rule, fmt::format("leaves '{}' behind", unwanted->pattern()),
                                 fmt::format("line {} of the result: {}", line + 1, text_there)));
  }
  return complaints;
}

}  // namespace sagebuild
