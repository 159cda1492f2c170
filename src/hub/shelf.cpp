#include "sagebuild/hub/shelf.hpp"

namespace sagebuild {

ShelfWheels wheels_of_tree(HubApi& api, const std::string& commit, const RemoteTree& tree,
                           const ShelfWheels& known) {
  ShelfWheels wheels;
  for (const auto& [path, file] : tree) {
    if (!is_wheel_path(path)) continue;
    if (const auto found = known.find(path); found != known.end())
      wheels[path] = found->second;
    else
      wheels[path] = {file.lfs ? *file.lfs : sha256(api.download(commit, path, file)), file.size};
  }
  return wheels;
}

PresentFiles present_index(HubApi& api, const std::string& commit, const RemoteTree& tree) {
  PresentFiles present;
  for (const char* path : kIndexFiles) {
    const auto file = tree.find(path);
    if (file == tree.end()) continue;
    present[path] = std::nullopt;
    if (file->second.size <= kLargestIndexFile)
      present[path] = api.download(commit, path, file->second);
  }
  return present;
}

}  // namespace sagebuild
