#include "sagebuild/model/requirement.hpp"

#include <algorithm>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

Requirement parse_requirement(std::string_view text) {
  constexpr std::string_view kNameText =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  std::string_view rest = trimmed(text);
  const std::string_view name = rest.substr(0, rest.find_first_not_of(kNameText));
  Requirement requirement;
  requirement.name = lower(name);
  rest = trimmed(rest.substr(name.size()));
  if (rest.starts_with('[')) {
    const auto end = std::min(rest.find(']'), rest.size() - 1) + 1;
    requirement.extras = rest.substr(0, end);
    rest = trimmed(rest.substr(end));
  }
  const bool is_url = rest.starts_with('@');
  // A URL may hold a ';' of its own.
  if (const auto marker = rest.find(is_url ? " ;" : ";"); marker != std::string_view::npos) {
    requirement.marker = trimmed(rest.substr(rest.find(';', marker) + 1));
    rest = rest.substr(0, marker);
  }
  if (is_url) return requirement;
  rest = rest.substr(0, rest.find(')'));
  if (const auto begin = rest.find_first_of("=<>!~"); begin != std::string_view::npos)
    requirement.range = trimmed(rest.substr(begin));
  return requirement;
}

}  // namespace sagebuild
