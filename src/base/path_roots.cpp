#include "sagebuild/base/path_roots.hpp"

#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  std::string_view rest = path.native();
  if (!take_prefix(rest, folder.native())) return false;
  return rest.empty() || rest.front() == '/' || folder.native().ends_with('/');
}

std::string mapped_path(std::string_view path, const PathRoots& roots) {
  const std::string* best = nullptr;
  std::size_t length = 0;
  for (const auto& [name, root] : roots) {
    const std::string& folder = root.native();
    if (folder.empty() || folder.size() <= length || !path.starts_with(folder)) continue;
    if (path.size() > folder.size() && path[folder.size()] != '/') continue;
    best = &name;
    length = folder.size();
  }
  return best == nullptr ? std::string(path)
                         : fmt::format("/sagebuild/{}{}", *best, path.substr(length));
}

}  // namespace sagebuild
