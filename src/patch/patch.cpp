#include "sagebuild/patch/patch.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>

#include "patch/coding.hpp"
#include "patch/python_text.hpp"
#include "patch/template.hpp"
#include "patch/text_file.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCaptures = 10;

using Submatches = std::array<re2::StringPiece, kCaptures>;

bool found_in(const Pattern& pattern, std::string_view text) {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern);
}

std::size_t offset_in(std::string_view text, const re2::StringPiece& part) {
  return static_cast<std::size_t>(part.data() - text.data());
}

// A text and its syntax, worked out once for all rules that leave it as it is. Stays where it is:
// `python` looks into `file`.
struct Current {
  TextFile file;
  PythonText python;

  explicit Current(std::string_view text) : file(text), python(file.plain()) {}
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
};

// One rule at work on one text.
class Application {
 public:
  Application(const Rule& rule, const Current& current, const Values& values)
      : rule_(rule),
        text_(current.file.plain()),
        python_(current.python),
        replacement_(with_values(rule.replacement, values)) {
    if (current.file.uses_tabs()) replacement_ = with_tabs(replacement_);
    const std::vector<TextRange> scopes = find_scopes();
    scopes_ = scopes.size();
    for (const TextRange& scope : scopes) edit_scope(scope);
  }

  const std::vector<Edit>& edits() const { return edits_; }
  std::size_t scopes() const { return scopes_; }
  std::size_t scopes_without_match() const { return empty_scopes_; }

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
    const std::size_t before = edits_.size();
    Submatches groups;
    for (std::size_t at = 0; at <= text.size();) {
      if (!rule_.pattern->Match(text, at, text.size(), RE2::UNANCHORED, groups.data(),
                                static_cast<int>(kCaptures)))
        break;
      const std::size_t begin = offset_in(text_, groups[0]);
      if (rule_.prose || is_code(begin, groups[0].size()))
        edits_.push_back(make_edit(begin, groups));
      at = begin - scope.begin + std::max<std::size_t>(groups[0].size(), 1);
    }
    if (edits_.size() == before) ++empty_scopes_;
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
  std::vector<Edit> edits_;
  std::size_t scopes_ = 0;
  std::size_t empty_scopes_ = 0;
};

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

// Where the pattern is found outside of strings and comments.
std::optional<std::size_t> find_in_code(const Pattern& pattern, const PythonText& python,
                                        std::string_view text) {
  const re2::StringPiece all(text.data(), text.size());
  re2::StringPiece match;
  for (std::size_t at = 0; at <= text.size();) {
    if (!pattern->Match(all, at, text.size(), RE2::UNANCHORED, &match, 1)) break;
    const std::size_t begin = offset_in(text, match);
    if (python.is_code(begin)) return begin;
    at = begin + std::max<std::size_t>(match.size(), 1);
  }
  return std::nullopt;
}

bool holds(const std::vector<Pattern>& when, const std::vector<Pattern>& unless,
           std::string_view text) {
  return std::ranges::all_of(when, [&](const auto& pattern) { return found_in(pattern, text); }) &&
         std::ranges::none_of(unless, [&](const auto& pattern) { return found_in(pattern, text); });
}

bool applies(const Rule& rule, std::string_view file, const std::string& shape,
             std::string_view text) {
  if (rule.file != file || !holds(rule.when, rule.unless, text)) return false;
  return rule.shapes.empty() || std::ranges::find(rule.shapes, shape) != rule.shapes.end();
}

// The modules that the text names as "package.module" or "module".
std::vector<RecipeModule> named_modules(const std::vector<RecipeModule>& modules,
                                        std::string_view text) {
  std::vector<RecipeModule> named;
  for (const RecipeModule& module : modules) {
    const std::string name = module.name.substr(module.name.rfind('.') + 1);
    for (std::size_t at = text.find(name); at != std::string_view::npos;
         at = text.find(name, at + 1)) {
      const std::size_t end = at + name.size();
      const bool begins =
          at > 0 && std::string_view(".\"'").find(text[at - 1]) != std::string_view::npos;
      if (!begins || end >= text.size() || (text[end] != '"' && text[end] != '\'')) continue;
      named.push_back(module);
      break;
    }
  }
  return named;
}

// What keeps a rule from being applied; empty: nothing.
std::string reason_against(const Rule& rule, const Application& work, const Current& current) {
  const std::size_t count = work.edits().size();
  if (!rule.count.fits(count)) {
    const bool too_many = count > rule.count.most;
    return failure(rule, fmt::format("expects {} and found {}", rule.count.text(), count),
                   too_many ? matched_lines(work.edits(), current.python)
                            : nearest_place(rule, current.file.plain()));
  }
  if (rule.every && work.scopes_without_match() > 0) {
    return failure(rule,
                   fmt::format("fits only {} of {} places",
                               work.scopes() - work.scopes_without_match(), work.scopes()),
                   nearest_place(rule, current.file.plain()));
  }
  return "";
}

void check_result(const Rule& rule, const Current& result, PatchOutcome& outcome) {
  const std::string& text = result.file.plain();
  for (const Pattern& unwanted : rule.gone) {
    const auto found = find_in_code(unwanted, result.python, text);
    if (!found) continue;
    const std::size_t line = result.python.line_of(*found);
    const TextRange range = result.python.lines()[line].range;
    const std::string text_there(
        trimmed(std::string_view(text).substr(range.begin, range.end - range.begin)));
    outcome.failures.push_back(
        failure(rule, fmt::format("leaves '{}' behind", unwanted->pattern()),
                fmt::format("line {} of the result: {}", line + 1, text_there)));
  }
}

// The shape's name, or nothing and a failure.
std::string find_shape(const RuleSet& rules, std::string_view text, PatchOutcome& outcome) {
  for (const Shape& shape : rules.shapes) {
    if (!holds(shape.when, shape.unless, text)) continue;
    outcome.note = shape.note;
    outcome.as_is = shape.as_is;
    outcome.refused = !shape.refuse.empty();
    if (outcome.refused)
      outcome.failures.push_back(fmt::format("'{}' {}", outcome.file, shape.refuse));
    return shape.name;
  }
  if (!rules.shapes.empty()) {
    std::vector<std::string> names;
    for (const Shape& shape : rules.shapes) names.push_back(shape.name);
    outcome.failures.push_back(fmt::format("'{}' has no shape that recipe '{}' knows: {}",
                                           outcome.file, rules.recipe, join(names, "; ")));
  }
  return "";
}

// Every rule once, in order. Gives the result's bytes.
std::string run_rules(const RuleSet& rules, const std::string& start, PatchOutcome& outcome) {
  Values values = rules.values;
  values["module_table"] = module_table(named_modules(rules.modules, start));
  auto current = std::make_unique<Current>(start);
  const std::string original = current->file.plain();
  std::vector<const Rule*> used;
  for (const Rule& rule : rules.rules) {
    if (!outcome.as_is && applies(rule, outcome.file, outcome.shape, original))
      used.push_back(&rule);
  }
  std::string text = start;
  for (const Rule* rule : used) {
    // What is done is left alone; a file where it is half done fails the rule's `gone` below.
    if (rule->done && found_in(rule->done, original)) {
      outcome.rules.push_back({rule->id, rule->file, rule->why, 0, true});
      continue;
    }
    const Application work(*rule, *current, values);
    if (const std::string reason = reason_against(*rule, work, *current); !reason.empty()) {
      outcome.failures.push_back(reason);
      continue;
    }
    const std::size_t count = work.edits().size();
    outcome.rules.push_back({rule->id, rule->file, rule->why, static_cast<int>(count), count == 0});
    if (count == 0) continue;
    text = current->file.edited(work.edits());
    current = std::make_unique<Current>(text);
  }
  if (!outcome.failures.empty()) return text;
  for (const Rule* rule : used) check_result(*rule, *current, outcome);
  return text;
}

PatchOutcome patch_utf8(const RuleSet& rules, std::string_view file, std::string_view text) {
  PatchOutcome outcome;
  outcome.file = file;
  outcome.before = outcome.after = text;
  if (const auto bad = first_bad_utf8(text)) {
    outcome.failures.push_back(fmt::format("'{}' is not UTF-8: byte 0x{:02x} at offset {}", file,
                                           static_cast<unsigned char>(text[*bad]), *bad));
    return outcome;
  }
  if (file == "setup.py") outcome.shape = find_shape(rules, text, outcome);
  if (!outcome.failures.empty()) return outcome;

  outcome.after = run_rules(rules, outcome.before, outcome);
  if (outcome.failures.empty() && outcome.changed()) {
    // Patching twice must equal patching once; a recipe that breaks this is found here, not by its
    // users.
    PatchOutcome again = outcome;
    again.rules.clear();
    const std::string twice = run_rules(rules, outcome.after, again);
    for (const std::string& line : again.failures)
      outcome.failures.push_back("applied again: " + line);
    if (twice != outcome.after)
      outcome.failures.push_back(
          fmt::format("the rules change '{}' again when applied twice", file));
  }
  if (!outcome.failures.empty()) outcome.after = outcome.before;
  return outcome;
}

// A file that declares another coding, which is Python's right (PEP 263).
PatchOutcome patch_coded(const RuleSet& rules, std::string_view file, std::string_view text,
                         const std::string& coding) {
  PatchOutcome outcome;
  if (is_byte_coding(coding)) outcome = patch_utf8(rules, file, bytes_as_utf8(text));
  outcome.file = file;
  if (!is_byte_coding(coding)) {
    outcome.failures.push_back(
        fmt::format("'{}' is in the coding '{}', which rules cannot be applied to: make it UTF-8, "
                    "or build with --no-patch",
                    file, coding));
  }
  for (const Rule& rule : rules.rules) {
    if (rule.file != file || std::ranges::all_of(rule.replacement, [](char c) {
          return static_cast<unsigned char>(c) < 0x80;
        }))
      continue;
    outcome.failures.push_back(
        fmt::format("rule '{}' puts in more than ASCII, and '{}' is in the coding '{}'", rule.id,
                    file, coding));
  }
  const auto bytes = utf8_as_bytes(outcome.after);
  if (!bytes)
    outcome.failures.push_back(fmt::format("the rules put in what the coding '{}' lacks", coding));
  outcome.before = text;
  outcome.after = outcome.failures.empty() ? *bytes : outcome.before;
  return outcome;
}

}  // namespace

PatchOutcome patch_text(const RuleSet& rules, std::string_view file, std::string_view text) {
  const auto coding = file.ends_with(".py") ? declared_coding(text) : std::nullopt;
  PatchOutcome outcome =
      coding ? patch_coded(rules, file, text, *coding) : patch_utf8(rules, file, text);
  for (const Rule& rule : rules.rules) {
    if (outcome.failures.empty() || rule.planned || rule.file != file ||
        !holds(rule.when, rule.unless, text))
      continue;
    outcome.lost.push_back(fmt::format("{}: {}", rule.id, rule.why));
  }
  return outcome;
}

std::vector<PatchOutcome> patch_folder(const RuleSet& rules, const fs::path& folder) {
  std::vector<PatchOutcome> outcomes;
  std::set<std::string> seen;
  for (const Rule& rule : rules.rules) {
    if (!seen.insert(rule.file).second) continue;
    const auto text = read_file_if_exists(folder / rule.file);
    if (text) {
      outcomes.push_back(patch_text(rules, rule.file, *text));
    } else if (!rule.optional_file) {
      PatchOutcome missing;
      missing.file = rule.file;
      missing.failures.push_back(
          fmt::format("'{}' is not there; rule '{}' is for it", rule.file, rule.id));
      outcomes.push_back(std::move(missing));
    }
  }
  return outcomes;
}

void require_patched(const std::vector<PatchOutcome>& outcomes) {
  std::vector<std::string> failures;
  std::string files;
  for (const PatchOutcome& outcome : outcomes) {
    if (outcome.failures.empty()) continue;
    files += (files.empty() ? "'" : ", '") + outcome.file + "'";
    failures.insert(failures.end(), outcome.failures.begin(), outcome.failures.end());
  }
  if (failures.empty()) return;
  throw Error(ErrorKind::failed, "cannot patch " + files, failures,
              "nothing was written; `--recipe FILE` takes rules of your own");
}

PatchedTree patch_tree(const Checkout& checkout, const Recipe& recipe,
                       const std::vector<PatchOutcome>& outcomes) {
  const fs::path folder = checkout.root / recipe.subfolder;
  PatchedTree tree{checkout, {}};
  for (const PatchOutcome& outcome : outcomes) {
    if (!outcome.failures.empty()) continue;
    if (outcome.changed()) write_file(folder / outcome.file, outcome.after);
    tree.rules.insert(tree.rules.end(), outcome.rules.begin(), outcome.rules.end());
  }
  return tree;
}

}  // namespace sagebuild
