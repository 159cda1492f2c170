#include "submodules.hpp"

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// Git's quoting: "..." around the value, backslash before a quote or backslash.
std::string unquoted(std::string_view value) {
  std::string result;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '"') continue;
    if (value[i] == '\\' && i + 1 < value.size()) ++i;
    result += value[i];
  }
  return result;
}

}  // namespace

std::map<std::string, std::string> parse_gitmodules(std::string_view text) {
  std::map<std::string, std::string> urls;
  std::string path;
  std::string url;
  const auto keep = [&] {
    if (!path.empty() && !url.empty()) urls[path] = url;
    path.clear();
    url.clear();
  };
  for (std::string_view line : lines_of(text)) {
    line = trimmed(line);
    if (line.starts_with('[')) {
      keep();
      continue;
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || line.starts_with('#') || line.starts_with(';'))
      continue;
    const std::string key = lower(trimmed(line.substr(0, equals)));
    const std::string value = unquoted(trimmed(line.substr(equals + 1)));
    if (key == "path") path = value;
    if (key == "url") url = value;
  }
  keep();
  return urls;
}

}  // namespace sagebuild
