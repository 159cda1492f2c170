#include "sagebuild/base/path_roots.hpp"

#include <fmt/format.h>

namespace sagebuild {

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
