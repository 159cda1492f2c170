#include "sagebuild/patch/rule.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <set>

#include "patch/template.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/base/toml.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

Pattern compiled(const TomlTable& table, std::string_view key, const std::string& text) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(16 << 20);
  auto pattern = std::make_shared<const RE2>(text, options);
  if (!pattern->ok())
    table.fail(fmt::format("'{}' is not a valid pattern: {}", key, pattern->error()));
  return pattern;
}

Pattern pattern_at(const TomlTable& table, std::string_view key) {
  const auto text = table.text(key);
  return text ? compiled(table, key, *text) : nullptr;
}

std::vector<Pattern> patterns_at(const TomlTable& table, std::string_view key) {
  std::vector<Pattern> patterns;
  for (const std::string& text : table.texts(key)) patterns.push_back(compiled(table, key, text));
  return patterns;
}

Scope scope_at(const TomlTable& table) {
  static const std::map<std::string, Scope> known = {
      {"file", Scope::file}, {"line", Scope::line}, {"block", Scope::block}, {"call", Scope::call}};
  const auto found = known.find(table.text("scope").value_or("line"));
  if (found == known.end()) table.fail("'scope' is one of: file, line, block, call");
  return found->second;
}

// "1", "1+", "0-1".
MatchCount count_at(const TomlTable& table) {
  const auto text = table.text("count");
  if (!text) return {};
  const std::size_t dash = text->find('-');
  const bool open_end = text->ends_with('+');
  const auto least = to_integer(text->substr(0, open_end ? text->size() - 1 : dash));
  const auto most = dash == std::string::npos ? least : to_integer(text->substr(dash + 1));
  if (!least || !most || *least < 0 || *most < *least || (*most == 0 && !open_end))
    table.fail("'count' is like \"1\", \"1+\" or \"0-1\"");
  MatchCount count{static_cast<std::size_t>(*least), static_cast<std::size_t>(*most)};
  if (open_end) count.most = std::numeric_limits<std::size_t>::max();
  return count;
}

void check_replacement(const TomlTable& table, const Rule& rule,
                       const std::map<std::string, std::string>& values) {
  const int captures = rule.pattern->NumberOfCapturingGroups();
  if (const int highest = highest_capture(rule.replacement); highest > captures) {
    table.fail(fmt::format("'replace' uses \\{} but 'pattern' has {} captures", highest, captures));
  }
  for (const std::string& name : value_names(rule.replacement)) {
    if (!values.contains(name))
      table.fail(fmt::format("'replace' uses {{{{{}}}}}, which [insert] does not have", name));
  }
  // Throws for inserts that name each other in a circle
  (void)with_values(rule.replacement, values);
}

Rule read_rule(const TomlTable& table, const std::map<std::string, std::string>& values) {
  Rule rule;
  rule.place = table.place();
  rule.id = table.required_text("id");
  rule.file = table.text("file").value_or("setup.py");
  rule.why = table.required_text("why");
  rule.shapes = table.texts("shapes");
  rule.when = patterns_at(table, "when");
  rule.unless = patterns_at(table, "unless");
  rule.scope = scope_at(table);
  rule.start = pattern_at(table, "start");
  if (!table.has("pattern")) table.fail("'pattern' is missing");
  // A long one comes in pieces
  rule.pattern = compiled(table, "pattern", join(table.texts("pattern"), ""));
  rule.replacement = table.required_text("replace");
  rule.count = count_at(table);
  rule.prose = table.boolean("prose").value_or(false);
  rule.every = table.boolean("every").value_or(false);
  rule.optional_file = table.boolean("optional_file").value_or(false);
  rule.planned = table.boolean("planned").value_or(false);
  rule.done = pattern_at(table, "done");
  rule.gone = patterns_at(table, "gone");
  table.finish();
  const bool needs_start = rule.scope == Scope::block || rule.scope == Scope::call;
  if (needs_start != (rule.start != nullptr))
    table.fail("'start' belongs to the scopes block and call, and to no other");
  if (rule.count.least > 0 && !rule.done)
    table.fail("'done' is missing: what shows that the rule was applied");
  if (rule.file.empty() || rule.file.front() == '/' || rule.file.find("..") != std::string::npos) {
    table.fail("'file' must be a relative path inside the tree");
  }
  check_replacement(table, rule, values);
  return rule;
}

Shape read_shape(const TomlTable& table) {
  Shape shape;
  shape.name = table.required_text("name");
  shape.when = patterns_at(table, "when");
  shape.unless = patterns_at(table, "unless");
  shape.refuse = table.text("refuse").value_or("");
  shape.as_is = table.boolean("as_is").value_or(false);
  shape.note = table.text("note").value_or("");
  table.finish();
  return shape;
}

void check_names(const TomlTable& table, const RuleSet& set) {
  std::set<std::string> shapes;
  for (const Shape& shape : set.shapes) {
    if (!shapes.insert(shape.name).second)
      table.fail(fmt::format("shape '{}' occurs twice", shape.name));
  }
  std::set<std::string> ids;
  for (const Rule& rule : set.rules) {
    if (!ids.insert(rule.id).second) {
      throw Error(ErrorKind::usage, fmt::format("{}: rule '{}' occurs twice", rule.place, rule.id));
    }
    for (const std::string& shape : rule.shapes) {
      if (shapes.contains(shape)) continue;
      throw Error(ErrorKind::usage, fmt::format("{}: unknown shape '{}'", rule.place, shape));
    }
  }
}

}  // namespace

std::string MatchCount::text() const {
  if (most == std::numeric_limits<std::size_t>::max())
    return fmt::format("at least {} match{}", least, least == 1 ? "" : "es");
  if (least != most) return fmt::format("{} to {} matches", least, most);
  return fmt::format("{} match{}", least, least == 1 ? "" : "es");
}

RuleSet load_rules(const Recipe& recipe) {
  const TomlTable table = load_toml(recipe.file);
  RuleSet set;
  set.recipe = recipe.name;
  set.modules = recipe.modules;
  set.values["module_table"] = "";
  if (const auto inserts = table.table("insert")) {
    for (const std::string& name : inserts->keys()) set.values[name] = inserts->required_text(name);
  }
  if (const auto files = table.table("insert_file")) {
    for (const std::string& name : files->keys()) {
      set.values[name] = read_file(recipe.file.parent_path() / files->required_text(name));
    }
  }
  for (const auto& [name, value] : set.values) {
    for (const std::string& used : value_names(value)) {
      if (!set.values.contains(used))
        table.fail(fmt::format("insert '{}' uses {{{{{}}}}}, which does not exist", name, used));
    }
  }
  for (const TomlTable& shape : table.tables("shape")) set.shapes.push_back(read_shape(shape));
  for (const TomlTable& rule : table.tables("rule"))
    set.rules.push_back(read_rule(rule, set.values));
  check_names(table, set);
  return set;
}

std::string module_table(const std::vector<RecipeModule>& modules) {
  constexpr std::size_t kWidth = 100;
  std::string text;
  for (const RecipeModule& module : modules) {
    const std::string head =
        fmt::format("\"{}\": {{", module.name.substr(module.name.rfind('.') + 1));
    std::string line = head;
    text += fmt::format("# {}\n", module.reason);
    for (const RecipeTarget& target : module.targets) {
      const std::string cell = fmt::format("\"{}\": (\"{}\", \"{}\", {}),", dotted(target.request),
                                           digits(target.virtual_arch), digits(target.real),
                                           target.ptx_allowed ? "True" : "False");
      if (line.size() + cell.size() > kWidth) {
        text += line + "\n";
        line = std::string(head.size() - 1, ' ');
      }
      line += (line == head ? "" : " ") + cell;
    }
    line.back() = '}';
    text += line + ",\n";
  }
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace sagebuild
