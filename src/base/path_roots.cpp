#include "sagebuild/base/path_roots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <utility>
#include <vector>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kFixed = "/sagebuild/";

// Folders with what stands for each, the deepest first.
using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs fixed_names(const PathRoots& roots) {
  Pairs pairs;
  for (const auto& [name, root] : roots) {
    std::string folder = root.native();
    while (folder.ends_with('/')) folder.pop_back();
    if (!folder.empty()) pairs.emplace_back(std::move(folder), fmt::format("{}{}", kFixed, name));
  }
  std::ranges::stable_sort(pairs, std::greater(), [](const auto& one) { return one.first.size(); });
  return pairs;
}

// Whether no word of a command line or a document goes on behind it.
bool ends_word(char c) {
  return std::string_view(" \t\r\n\"'`=:,;()<>|&").find(c) != std::string_view::npos;
}
// Whether it would be part of the path's last name.
bool goes_on(char c) {
  const auto code = static_cast<unsigned char>(c);
  return code >= 0x80 || std::isalnum(code) != 0 ||
         std::string_view("_-.+~@%").find(c) != std::string_view::npos;
}
// "-I" and "@" of "-I/x" and "@/x"
bool is_option(std::string_view text) {
  return text.empty() || ((text[0] == '-' || text[0] == '@') && text.find('/') == text.npos);
}

std::string with_replaced_paths(std::string_view text, const Pairs& pairs) {
  std::string result;
  std::size_t word = 0;  // where it begins
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.front() == '/' && is_option(text.substr(word, at - word))) {
      const auto found = std::ranges::find_if(pairs, [&](const auto& pair) {
        return rest.starts_with(pair.first) &&
               (rest.size() == pair.first.size() || !goes_on(rest[pair.first.size()]));
      });
      if (found != pairs.end()) {
        result += found->second;
        at += found->first.size();
        continue;
      }
    }
    // An escape is two characters: "\n" in JSON.
    const std::size_t length = rest.front() == '\\' ? std::min<std::size_t>(2, rest.size()) : 1;
    result += rest.substr(0, length);
    at += length;
    if (length == 2 || ends_word(rest.front())) word = at;
  }
  return result;
}

}  // namespace

bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  std::string_view rest = path.native();
  if (!take_prefix(rest, folder.native())) return false;
  return rest.empty() || rest.front() == '/' || folder.native().ends_with('/');
}

std::string mapped_path(std::string_view path, const PathRoots& roots) {
  const std::string* best = nullptr;
  std::size_t length = 0;
  for (const auto& [name, root] : roots) {
    std::string_view folder = root.native();
    while (folder.ends_with('/')) folder.remove_suffix(1);
    if (folder.size() <= length || !path.starts_with(folder)) continue;
    if (path.size() > folder.size() && path[folder.size()] != '/') continue;
    best = &name;
    length = folder.size();
  }
  return best == nullptr ? std::string(path)
                         : fmt::format("{}{}{}", kFixed, *best, path.substr(length));
}

std::optional<std::filesystem::path> unmapped_path(std::string_view name, const PathRoots& roots) {
  std::string_view rest = name;
  if (!take_prefix(rest, kFixed)) return name;
  const auto end = std::min(rest.find('/'), rest.size());
  const auto root = roots.find(std::string(rest.substr(0, end)));
  if (root == roots.end()) return std::nullopt;
  return end == rest.size() ? root->second : root->second / rest.substr(end + 1);
}

std::string with_mapped_paths(std::string_view text, const PathRoots& roots) {
  return with_replaced_paths(text, fixed_names(roots));
}

std::string with_unmapped_paths(std::string_view text, const PathRoots& roots) {
  Pairs pairs = fixed_names(roots);
  for (auto& [folder, name] : pairs) std::swap(folder, name);
  return with_replaced_paths(text, pairs);
}

}  // namespace sagebuild
