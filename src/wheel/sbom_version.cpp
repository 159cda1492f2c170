#include <nlohmann/json.hpp>

#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/wheel/rewrite.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

// In a package URL '+' may be written as it is, or as %2B.
std::string with_version(std::string text, const std::string& from, const std::string& to) {
  const auto encoded = [](const std::string& version) { return replaced(version, "+", "%2B"); };
  const std::string old = "@" + from;
  for (const auto& [what, with] :
       {std::pair{"@" + encoded(from), "@" + encoded(to)}, std::pair{old, "@" + to}}) {
    const auto at = text.find(what);
    // "@1.0" is not the beginning of "@1.0.1"
    const std::size_t end = at == std::string::npos ? at : at + what.size();
    if (at == std::string::npos) continue;
    if (end < text.size() && std::string_view("?#/").find(text[end]) == std::string_view::npos)
      continue;
    return text.replace(at, what.size(), with);
  }
  return text;
}

// The document names the component by its bom-ref wherever something depends on it.
void replace_text(Json& value, const std::string& from, const std::string& to) {
  if (value.is_string() && value.get_ref<const std::string&>() == from) value = to;
  if (value.is_structured())
    for (Json& inner : value) replace_text(inner, from, to);
}

}  // namespace

std::optional<std::string> sbom_of_version(const std::string& text, const std::string& from,
                                           const std::string& to) {
  // Bounded in depth first
  if (!parse_json(text).value) return std::nullopt;
  Json document = Json::parse(text);
  const Json::json_pointer place("/metadata/component");
  if (!document.is_object() || document.value("bomFormat", Json()) != "CycloneDX" ||
      !document.contains(place) || !document[place].is_object())
    return std::nullopt;
  Json& component = document[place];
  if (component.value("version", Json()) != from) return std::nullopt;
  component["version"] = to;
  for (const char* key : {"purl", "bom-ref"}) {
    if (!component.contains(key) || !component[key].is_string()) continue;
    const std::string old = component[key];
    const std::string changed = with_version(old, from, to);
    if (changed != old) replace_text(document, old, changed);
  }
  const bool is_indented = text.find("\n  ") != std::string::npos;
  std::string result =
      document.dump(is_indented ? 2 : -1, ' ', false, Json::error_handler_t::replace);
  return text.ends_with('\n') ? result + "\n" : result;
}

}  // namespace sagebuild
