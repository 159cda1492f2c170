#include "sagebuild/model/version.hpp"

#include <fmt/format.h>

#include <charconv>

namespace sagebuild {

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  const char* at = text.data();
  const char* end = text.data() + text.size();
  while (at != end) {
    int number = 0;
    const auto [after, error] = std::from_chars(at, end, number);
    if (error != std::errc{} || number < 0) break;
    version.numbers_.push_back(number);
    at = after;
    if (at == end || *at != '.') break;
    ++at;
  }
  if (version.empty()) return std::nullopt;
  return version;
}

std::string Version::text() const { return fmt::format("{}", fmt::join(numbers_, ".")); }
std::string Version::major_minor() const { return fmt::format("{}.{}", major(), minor()); }

std::strong_ordering Version::operator<=>(const Version& other) const {
  for (std::size_t i = 0; i < std::max(numbers_.size(), other.numbers_.size()); ++i) {
    if (const auto order = at(i) <=> other.at(i); order != 0) return order;
  }
  return std::strong_ordering::equal;
}

}  // namespace sagebuild
