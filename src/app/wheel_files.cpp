#include "app/wheel_files.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/hub/index.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {

std::vector<WheelFile> wheel_files(const std::vector<std::filesystem::path>& named,
                                   const std::string& folder,
                                   const std::vector<std::string>& include,
                                   const std::vector<std::string>& exclude) {
  std::vector<WheelFile> files;
  const auto take = [&](const std::filesystem::path& path, const std::string& place) {
    const auto fits = [&](const std::string& glob) { return matches_glob(place, glob); };
    if (!include.empty() && std::ranges::none_of(include, fits)) return;
    if (std::ranges::any_of(exclude, fits)) return;
    files.push_back({path, folder.empty() ? place : folder + "/" + place});
  };
  for (const auto& path : named) {
    if (!path_exists(path))
      throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", path.string()));
    if (!is_folder(path)) {
      take(path, path.filename().string());
      continue;
    }
    auto below = files_below(path);
    std::erase_if(below, [](const auto& file) { return !is_wheel_path(file.string()); });
    std::ranges::sort(below);
    if (below.empty())
      throw Error(ErrorKind::usage, fmt::format("there is no wheel in '{}'", path.string()), {},
                  "name the wheels, or a folder that has some");
    for (const auto& file : below) take(file, file.lexically_relative(path).string());
  }
  if (files.empty()) {
    throw Error(ErrorKind::usage, "--include and --exclude leave no file", {},
                "a glob is held against the name and against the place below the folder");
  }
  return files;
}

}  // namespace sagebuild
