#include "verify/specifiers.hpp"

#include <algorithm>

#include "sagebuild/base/strings.hpp"

namespace sagebuild::verifying {
namespace {

// Whether the first numbers of both are the same, as "==2.11.*" and "~=2.11.0" ask of two.
bool share(const Version& one, const Version& other, std::ptrdiff_t count) {
  return (count < 1 || one.major() == other.major()) &&
         (count < 2 || one.minor() == other.minor()) && (count < 3 || one.patch() == other.patch());
}

bool part_allows(std::string_view part, const Version& release) {
  const auto begin = part.find_first_of("0123456789");
  if (begin == std::string_view::npos) return true;
  const std::string_view sign = trimmed(part.substr(0, begin));
  const std::string_view number = part.substr(begin);
  const Version bound = parse_version(number).value_or(Version{});
  const auto dots =
      std::ranges::count(number.substr(0, number.find_first_not_of("0123456789.")), '.');
  const bool is_prefix = number.find('*') != std::string_view::npos;
  if (sign == "~=") return release >= bound && share(release, bound, dots);
  if (sign == "!=") return is_prefix ? !share(release, bound, dots) : release != bound;
  if (sign == "<") return release < bound;
  if (sign == "<=") return release <= bound;
  if (sign == ">") return release > bound;
  if (sign == ">=") return release >= bound;
  return is_prefix ? share(release, bound, dots) : release == bound;
}

}  // namespace

bool allows(std::string_view specifiers, const Version& release) {
  return std::ranges::all_of(split(specifiers, ","), [&](std::string_view part) {
    return part_allows(trimmed(part), release);
  });
}

bool ends_below(std::string_view specifiers, const Version& version) {
  return std::ranges::any_of(split(specifiers, ","), [&](std::string_view part) {
    part = trimmed(part);
    const auto begin = part.find_first_of("0123456789");
    if (begin == std::string_view::npos) return false;
    const std::string_view number = part.substr(begin);
    const auto bound = parse_version(number);
    if (!bound || part.starts_with('>') || part.starts_with('!')) return false;
    // "~=2.4" lets in every 2.x.
    if (part.starts_with('~') && std::ranges::count(number, '.') < 2) return false;
    return *bound < version ||
           (part.starts_with('<') && !part.starts_with("<=") && *bound == version);
  });
}

}  // namespace sagebuild::verifying
