#include "sagebuild/cli/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/base/toml.hpp"

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
  } catch (const Error&) {
    return std::to_string(*file.integer(name));
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
  std::vector<std::string> variables = {variable_of(spec.name)};
  variables.insert(variables.end(), spec.foreign.begin(), spec.foreign.end());
  for (const std::string& name : variables) {
    if (const auto value = variable(env, name)) return SettingValue{*value, name};
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

std::string Settings::table() const {
  const SettingValue unset{"-", "not set"};
  std::size_t width = 0;
  std::size_t value_width = 0;
  for (const std::string& name : names_) {
    width = std::max(width, name.size());
    value_width = std::max(value_width, find(name).value_or(unset).text.size());
  }
  std::string text;
  for (const std::string& name : names_) {
    const SettingValue value = find(name).value_or(unset);
    text += fmt::format("{:<{}}  {:<{}}  {}\n", name, width, value.text, value_width, value.origin);
  }
  return text;
}

std::vector<UnknownVariable> unknown_variables(const Environment& env,
                                               const std::vector<std::string>& known) {
  std::vector<std::string> names = {"SAGEBUILD_CACHE_DIR", "SAGEBUILD_CACHE_TOKEN",
                                    "SAGEBUILD_DATA_DIR"};
  for (const std::string& name : known) names.push_back(variable_of(name));
  std::vector<UnknownVariable> unknown;
  for (const auto& [name, value] : env) {
    const bool is_ours = name.starts_with("SAGEBUILD_") && !name.starts_with("SAGEBUILD_TEST_") &&
                         !name.starts_with("SAGEBUILD_BENCH_") &&
                         !name.starts_with("SAGEBUILD_UPSTREAM_");
    if (!is_ours || std::ranges::find(names, name) != names.end()) continue;
    unknown.push_back({name, nearest(name, names).value_or("")});
  }
  return unknown;
}

}  // namespace sagebuild
