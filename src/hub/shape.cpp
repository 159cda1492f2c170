#include "hub/shape.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr std::size_t kMostShown = 60;

std::string described(const json& value) {
  if (value.is_null()) return "null";
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string shown = json_line(value);
  if (shown.size() > kMostShown) shown = shown.substr(0, kMostShown) + "...";
  return value.is_string() ? shown : fmt::format("a {} ({})", value.type_name(), shown);
}

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

void Field::refuse(std::string_view expected) const {
  const std::string where = place_.empty() ? "" : fmt::format(" at '{}'", place_);
  throw BadShape(fmt::format("the answer has {}{}, where {} is expected", described(*value_), where,
                             expected));
}

Field Field::at(const std::string& key) const {
  if (!value_->is_object()) refuse("an object");
  const auto found = value_->find(key);
  if (found == value_->end()) {
    throw BadShape(
        fmt::format("the answer has no '{}{}{}'", place_, place_.empty() ? "" : ".", key));
  }
  return Field(*found, place_.empty() ? key : place_ + "." + key);
}

std::optional<Field> Field::find(const std::string& key) const {
  if (!value_->is_object()) refuse("an object");
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return at(key);
}

std::vector<Field> Field::list() const {
  if (!value_->is_array()) refuse("a list");
  std::vector<Field> fields;
  for (const json& item : *value_)
    fields.emplace_back(item, fmt::format("{}[{}]", place_, fields.size()));
  return fields;
}

std::vector<std::pair<std::string, Field>> Field::members() const {
  if (!value_->is_object()) refuse("an object");
  std::vector<std::pair<std::string, Field>> fields;
  for (const auto& [key, item] : value_->items()) fields.emplace_back(key, at(key));
  return fields;
}

std::string Field::text() const {
  if (!value_->is_string()) refuse("text");
  return value_->get<std::string>();
}

std::string Field::name() const {
  if (!value_->is_string() || value_->get_ref<const std::string&>().empty()) refuse("a name");
  return text();
}

std::uint64_t Field::count() const {
  if (!value_->is_number_unsigned()) refuse("a whole number from 0 on");
  return value_->get<std::uint64_t>();
}

bool Field::flag() const {
  if (!value_->is_boolean()) refuse("true or false");
  return value_->get<bool>();
}

Digest Field::sha256() const {
  constexpr std::size_t kDigits = 64;
  if (!value_->is_string() || !is_hex(text(), kDigits)) refuse("a SHA-256");
  return digest_from_hex(text());
}

std::string Field::git_id() const {
  constexpr std::size_t kDigits = 40;
  if (!value_->is_string() || !is_hex(text(), kDigits)) refuse("an id of git");
  return text();
}

std::string Field::address() const {
  if (!value_->is_string() || !origin_of(text())) refuse("an http or https address");
  return text();
}

std::string Field::word() const {
  const std::string value = text();
  const bool control = std::ranges::any_of(
      value, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control) refuse("text without control characters");
  return value;
}

std::string answer_fault(const Response& response, const ReadAnswer& read) {
  const ParsedJson parsed = parse_json(response.body);
  if (!parsed.value) {
    return is_web_page(response) ? "it answered with a web page"
                                 : fmt::format("the answer cannot be read: {}", parsed.fault);
  }
  try {
    read(Field(*parsed.value));
  } catch (const BadShape& bad) {
    return bad.text;
  }
  return "";
}

bool is_web_page(const Response& response) {
  const std::string begin = lower(trimmed(std::string_view(response.body).substr(0, 200)));
  return begin.starts_with("<!doctype html") || begin.starts_with("<html") ||
         lower(response.headers.find("Content-Type").value_or("")).starts_with("text/html");
}

}  // namespace sagebuild
