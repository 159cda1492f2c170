// A recipe's rules on the text of one file.

#include "sagebuild/patch/patch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>

#include "patch/coding.hpp"
#include "patch/complaints.hpp"
#include "patch/rule_edits.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

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
  auto current = std::make_unique<ParsedText>(start);
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
    const RuleEdits found = edits_of(*rule, *current, values);
    if (const std::string reason = reason_against(*rule, found, *current); !reason.empty()) {
      outcome.failures.push_back(reason);
      continue;
    }
    const std::size_t count = found.edits.size();
    outcome.rules.push_back({rule->id, rule->file, rule->why, static_cast<int>(count), count == 0});
    if (count == 0) continue;
    text = current->file.edited(found.edits);
    current = std::make_unique<ParsedText>(text);
  }
  if (!outcome.failures.empty()) return text;
  for (const Rule* rule : used)
    std::ranges::move(left_behind(*rule, *current), std::back_inserter(outcome.failures));
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

}  // namespace sagebuild
