#include "sagebuild/cli/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/base/toml.hpp"
#include "sagebuild/probe/setup_environment.hpp"

namespace sagebuild {
namespace {

std::string variable_of(std::string_view name) {
  std::string variable = "SAGEBUILD_";
  for (const char c : name)
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

// A value of the file as text, whatever its type.
std::optional<std::string> file_value(const TomlTable& file, const SettingSpec& spec) {
  const std::string_view name = spec.name;
  if (!file.has(name)) return std::nullopt;
  if (spec.is_switch) return *file.boolean(name) ? "true" : "false";
  try {
    return join(file.texts(name), spec.is_list ? "\n" : " ");
  } catch (const Error& no_text) {
    try {
      return std::to_string(*file.integer(name));
    } catch (const Error&) {
      throw no_text;  // text is what most settings are: `arch = 8.6` lacks its quotes
    }
  }
}

std::optional<std::string> variable(const Environment& env, const std::string& name) {
  const auto found = env.find(name);
  if (found == env.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

std::optional<SettingValue> first_of(const SettingSpec& spec,
                                     const std::map<std::string, std::string>& flags,
                                     const Environment& env, const std::optional<TomlTable>& file) {
  if (const auto flag = flags.find(std::string(spec.name)); flag != flags.end()) {
    return SettingValue{flag->second, fmt::format("--{}", spec.name)};
  }
  if (spec.flag_only) return std::nullopt;
  std::vector<std::string> variables = {variable_of(spec.name)};
  variables.insert(variables.end(), spec.foreign.begin(), spec.foreign.end());
  for (const std::string& name : variables) {
    if (const auto value = variable(env, name))
      return SettingValue{*value, name, name != variables.front()};
  }
  if (file) {
    if (const auto value = file_value(*file, spec))
      return SettingValue{*value, file->place(spec.name)};
  }
  if (!spec.fallback.empty()) return SettingValue{std::string(spec.fallback), "default"};
  return std::nullopt;
}

// "1.5"
std::optional<double> to_decimal(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                  : std::nullopt;
}

[[noreturn]] void bad_value(std::string_view name, const SettingValue& value,
                            std::string_view wanted) {
  throw Error(ErrorKind::usage,
              fmt::format("'{}' is not {} ({}, from {})", value.text, wanted, name, value.origin),
              {}, "`sagebuild COMMAND --help` shows what each option takes");
}

}  // namespace

Settings Settings::merge(const std::vector<SettingSpec>& specs,
                         const std::map<std::string, std::string>& flags, const Environment& env,
                         const std::optional<std::filesystem::path>& file,
                         const std::vector<std::string>& known) {
  std::optional<TomlTable> table;
  if (file) table = load_toml(*file);
  Settings settings;
  for (const SettingSpec& spec : specs) {
    auto value = first_of(spec, flags, env, table);
    if (value && value->text.empty()) {
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' has no value ({} is empty)", spec.name, value->origin), {},
                  "leave it out, or give it a value");
    }
    settings.names_.emplace_back(spec.name);
    if (value) settings.values_.emplace(spec.name, *std::move(value));
  }
  if (table) {
    for (const std::string& name : known) (void)table->has(name);
    table->finish();
  }
  return settings;
}

Settings Settings::without_prefix(std::string_view prefix) const {
  Settings rest;
  for (const std::string& name : names_) {
    std::string_view shown = name;
    const bool had = take_prefix(shown, prefix);
    const std::string key(shown);
    rest.names_.push_back(key);
    if (had) rest.flags_[key] = "--" + name;
    if (const auto value = values_.find(name); value != values_.end())
      rest.values_[key] = value->second;
  }
  return rest;
}

std::string Settings::flag(std::string_view name) const {
  const auto found = flags_.find(name);
  return found == flags_.end() ? fmt::format("--{}", name) : found->second;
}

std::optional<SettingValue> Settings::find(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Settings::optional_text(std::string_view name) const {
  const auto value = find(name);
  if (!value || value->text.empty()) return std::nullopt;
  return value->text;
}

void Settings::require_unused(const std::vector<SettingSpec>& specs, std::string_view needed,
                              std::string_view hint) const {
  for (const SettingSpec& spec : specs) {
    const auto value = find(spec.name);
    if (value && value->origin.starts_with("--"))
      throw Error(ErrorKind::usage, fmt::format("{} needs {}", value->origin, needed), {},
                  std::string(hint));
  }
}

std::string Settings::text(std::string_view name) const { return optional_text(name).value_or(""); }

std::vector<std::string> Settings::list(std::string_view name) const {
  const auto value = find(name);
  std::vector<std::string> words;
  if (value)
    for (const auto word : split(value->text, "\n")) words.emplace_back(word);
  return words;
}

bool Settings::enabled(std::string_view name) const {
  const auto value = find(name);
  if (!value) return false;
  const std::string text = lower(value->text);
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text.empty() || text == "0" || text == "false" || text == "no" || text == "off") return false;
  bad_value(name, *value, "yes or no");
}

std::optional<unsigned> Settings::number(std::string_view name) const {
  const auto value = find(name);
  if (!value) return std::nullopt;
  const auto number = to_integer(value->text);
  if (!number || *number < 1 || *number > 100000) bad_value(name, *value, "a whole number from 1");
  return static_cast<unsigned>(*number);
}

std::optional<std::uint64_t> Settings::size(std::string_view name) const {
  const auto value = find(name);
  if (!value) return std::nullopt;
  std::string text = lower(trimmed(value->text));
  std::uint64_t thousand = 1000;
  if (text.ends_with('b')) text.pop_back();
  if (text.ends_with('i')) {
    thousand = 1024;
    text.pop_back();
  }
  std::uint64_t unit = 1;
  constexpr std::string_view kUnits = "kmgt";
  if (!text.empty() && kUnits.find(text.back()) != std::string_view::npos) {
    for (std::size_t i = 0; i <= kUnits.find(text.back()); ++i) unit *= thousand;
    text.pop_back();
  }
  const auto number = to_decimal(trimmed(text));
  const double bytes = number.value_or(0) * static_cast<double>(unit);
  if (!(bytes >= 1 && bytes <= 1e18)) bad_value(name, *value, "a size such as 4G");
  constexpr double kSmallest = 1'000'000;  // "16" means 16G to whoever writes it
  if (unit == 1 && bytes < kSmallest) {
    throw Error(
        ErrorKind::usage,
        fmt::format("'{}' names no unit ({}, from {})", value->text, name, value->origin), {},
        fmt::format("write {}G for gigabytes, {}M for megabytes", value->text, value->text));
  }
  return static_cast<std::uint64_t>(bytes);
}

std::string Settings::shown(const SettingValue& value) {
  std::vector<std::string> words;
  for (const std::string_view word : split(value.text, "\n")) {
    const auto equals = word.find('=');
    const bool is_secret =
        equals != std::string_view::npos && is_secret_variable(word.substr(0, equals));
    words.emplace_back(is_secret ? std::string(word.substr(0, equals)) + "=***" : word);
  }
  return redacted(join(words, ", "));
}

std::string Settings::json() const {
  auto rows = nlohmann::ordered_json::object();
  for (const std::string& name : names_) {
    const auto value = find(name);
    rows[name] = {{"value", value ? nlohmann::ordered_json(shown(*value)) : nullptr},
                  {"origin", value ? value->origin : "not set"}};
  }
  const nlohmann::ordered_json document = {{"schema", "sagebuild.settings/1"}, {"settings", rows}};
  return json_lines(document) + "\n";
}

std::string Settings::table() const {
  const SettingValue unset{"-", "not set"};
  std::size_t width = 0;
  std::size_t value_width = 0;
  for (const std::string& name : names_) {
    width = std::max(width, name.size());
    value_width = std::max(value_width, shown(find(name).value_or(unset)).size());
  }
  std::string text;
  for (const std::string& name : names_) {
    const SettingValue value = find(name).value_or(unset);
    text +=
        fmt::format("{:<{}}  {:<{}}  {}\n", name, width, shown(value), value_width, value.origin);
  }
  return text;
}

std::vector<UnknownVariable> unknown_variables(const Environment& env,
                                               const std::vector<std::string>& known) {
  std::vector<std::string> names = {"SAGEBUILD_CACHE_DIR", "SAGEBUILD_CACHE_TOKEN",
                                    "SAGEBUILD_DATA_DIR"};
  for (const std::string& name : known) names.push_back(variable_of(name));
  constexpr std::string_view kPrefix = "SAGEBUILD_";
  std::vector<std::string> endings;
  for (const std::string& name : names) endings.push_back(name.substr(kPrefix.size()));
  std::vector<UnknownVariable> unknown;
  for (const auto& [name, value] : env) {
    const bool is_ours = name.starts_with(kPrefix) && !name.starts_with("SAGEBUILD_TEST_") &&
                         !name.starts_with("SAGEBUILD_BENCH_") &&
                         !name.starts_with("SAGEBUILD_UPSTREAM_");
    if (!is_ours || std::ranges::find(names, name) != names.end()) continue;
    // The prefix, which all of them have, makes no two of them near.
    const auto near = nearest(name.substr(kPrefix.size()), endings);
    unknown.push_back({name, near ? std::string(kPrefix) + *near : ""});
  }
  return unknown;
}

}  // namespace sagebuild
