#include "sagebuild/base/json.hpp"

#include <fmt/format.h>

namespace sagebuild {
namespace {

using nlohmann::json;

struct TooDeep {};

}  // namespace

ParsedJson parse_json(std::string_view text) {
  const auto guard = [](int depth, json::parse_event_t, const json&) {
    if (depth >= kDeepestJson) throw TooDeep();
    return true;
  };
  try {
    json value = json::parse(text, guard, /*allow_exceptions=*/false);
    if (value.is_discarded()) return {std::nullopt, "it is no JSON"};
    return {std::move(value), ""};
  } catch (const TooDeep&) {
    return {std::nullopt, fmt::format("it is nested deeper than {} levels", kDeepestJson)};
  }
}

std::string json_line(const json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

}  // namespace sagebuild
