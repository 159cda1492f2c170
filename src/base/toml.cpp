#include "sagebuild/base/toml.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {

struct TomlTable::Node {
  std::shared_ptr<const toml::table> document;  // keeps the tree alive
  const toml::table* table = nullptr;
  std::string file;
  mutable std::set<std::string, std::less<>> asked;
};

namespace {

using Node = TomlTable::Node;

std::string place_of(const Node& node, const toml::node& where) {
  return fmt::format("{}:{}", node.file, where.source().begin.line);
}

std::string type_name(toml::node_type type) {
  std::ostringstream out;
  out << type;
  return out.str();
}

[[noreturn]] void wrong_type(const Node& node, std::string_view key, const toml::node& value,
                             std::string_view wanted) {
  throw Error(ErrorKind::usage,
              fmt::format("{}: '{}' must be a {}, not a {}", place_of(node, value), key, wanted,
                          type_name(value.type())));
}

const toml::node* find(const Node& node, std::string_view key) {
  node.asked.emplace(key);
  return node.table->get(key);
}

template <class T>
std::optional<T> value_at(const Node& node, std::string_view key, std::string_view wanted) {
  const toml::node* found = find(node, key);
  if (found == nullptr) return std::nullopt;
  auto value = found->value_exact<T>();
  if (!value) wrong_type(node, key, *found, wanted);
  return value;
}

TomlTable child(const Node& parent, const toml::table& table) {
  auto node = std::make_shared<Node>();
  node->document = parent.document;
  node->table = &table;
  node->file = parent.file;
  return TomlTable(std::move(node));
}

}  // namespace

bool TomlTable::has(std::string_view key) const { return find(*node_, key) != nullptr; }

std::optional<std::string> TomlTable::text(std::string_view key) const {
  return value_at<std::string>(*node_, key, "text");
}

std::optional<bool> TomlTable::boolean(std::string_view key) const {
  return value_at<bool>(*node_, key, "boolean");
}

std::optional<long long> TomlTable::integer(std::string_view key) const {
  return value_at<int64_t>(*node_, key, "whole number");
}

std::optional<double> TomlTable::number(std::string_view key) const {
  const toml::node* found = find(*node_, key);
  if (found != nullptr && found->is_integer()) return static_cast<double>(*integer(key));
  return value_at<double>(*node_, key, "number");
}

TomlScalar TomlTable::required_scalar(std::string_view key) const {
  const toml::node* found = find(*node_, key);
  if (found == nullptr) fail(fmt::format("'{}' is missing", key));
  if (found->is_boolean()) return *boolean(key);
  if (found->is_integer()) return *integer(key);
  if (found->is_floating_point()) return *number(key);
  if (found->is_string()) return *text(key);
  wrong_type(*node_, key, *found, "text, number or boolean");
}

std::vector<std::string> TomlTable::texts(std::string_view key) const {
  const toml::node* found = find(*node_, key);
  if (found == nullptr) return {};
  if (const auto one = found->value_exact<std::string>()) return {*one};
  const toml::array* array = found->as_array();
  if (array == nullptr) wrong_type(*node_, key, *found, "list of texts");
  std::vector<std::string> values;
  for (const toml::node& item : *array) {
    const auto text = item.value_exact<std::string>();
    if (!text) wrong_type(*node_, key, item, "text");
    values.push_back(*text);
  }
  return values;
}

std::optional<TomlTable> TomlTable::table(std::string_view key) const {
  const toml::node* found = find(*node_, key);
  if (found == nullptr) return std::nullopt;
  if (found->as_table() == nullptr) wrong_type(*node_, key, *found, "table");
  return child(*node_, *found->as_table());
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) const {
  const toml::node* found = find(*node_, key);
  if (found == nullptr) return {};
  if (!found->is_array_of_tables() && !(found->is_array() && found->as_array()->empty())) {
    wrong_type(*node_, key, *found, "list of tables");
  }
  std::vector<TomlTable> result;
  for (const toml::node& item : *found->as_array())
    result.push_back(child(*node_, *item.as_table()));
  return result;
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::pair<toml::source_position, std::string>> found;
  for (const auto& [key, value] : *node_->table)
    found.emplace_back(key.source().begin, std::string(key.str()));
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (auto& [position, name] : found) names.push_back(std::move(name));
  return names;
}

std::string TomlTable::required_text(std::string_view key) const {
  auto value = text(key);
  if (!value) fail(fmt::format("'{}' is missing", key));
  return *value;
}

std::string TomlTable::place(std::string_view key) const {
  return place_of(*node_, *node_->table->get(key));
}

std::string TomlTable::place() const { return place_of(*node_, *node_->table); }

void TomlTable::fail(std::string_view reason) const {
  throw Error(ErrorKind::usage, fmt::format("{}: {}", place(), reason));
}

void TomlTable::finish() const {
  for (const auto& [key, value] : *node_->table) {
    if (node_->asked.contains(key.str())) continue;
    const auto close = nearest(key.str(), {node_->asked.begin(), node_->asked.end()});
    throw Error(ErrorKind::usage,
                fmt::format("{}: unknown key '{}'", place_of(*node_, value), key.str()), {},
                close ? fmt::format("did you mean '{}'?", *close) : "");
  }
}

TomlTable parse_toml(std::string_view text, std::string_view name) {
  try {
    auto document = std::make_shared<const toml::table>(toml::parse(text, name));
    auto node = std::make_shared<Node>();
    node->table = document.get();
    node->document = std::move(document);
    node->file = name;
    return TomlTable(std::move(node));
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    throw Error(ErrorKind::usage,
                fmt::format("{}:{}:{}: not valid TOML", name, begin.line, begin.column),
                {std::string(error.description())});
  }
}

TomlTable load_toml(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!(file && text << file.rdbuf()) && !file.eof()) {
    throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", path.string()),
                {errno_text(errno)});
  }
  return parse_toml(text.str(), path.string());
}

}  // namespace sagebuild
