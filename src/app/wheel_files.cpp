#include "app/wheel_files.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/app/wheel_argument.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/hub/index.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

bool is_wanted(const UploadSettings& settings, const std::string& place) {
  const auto fits = [&](const std::string& glob) { return matches_glob(place, glob); };
  return (settings.include.empty() || std::ranges::any_of(settings.include, fits)) &&
         std::ranges::none_of(settings.exclude, fits);
}

std::vector<std::filesystem::path> wheels_below(const std::filesystem::path& folder) {
  auto files = files_below(folder);
  std::erase_if(files, [](const auto& file) { return !is_wheel_path(file.string()); });
  std::ranges::sort(files);
  if (files.empty())
    throw Error(ErrorKind::usage, fmt::format("there is no wheel in '{}'", folder.string()), {},
                "name the wheels, or a folder that has some");
  return files;
}

}  // namespace

std::vector<WheelFile> wheel_files(const UploadSettings& settings) {
  std::vector<WheelFile> files;
  // `above` is the part of its place that the file has below a folder.
  const auto take = [&](const std::filesystem::path& path, const std::filesystem::path& above) {
    if (!is_wanted(settings, (above / path.filename()).string())) return;
    const std::string name = require_wheel_argument(path, settings.fix_names);
    files.push_back({path, (settings.folder / above / name).string()});
  };
  for (const auto& named : settings.files) {
    if (!is_folder(named)) {
      take(named, {});
      continue;
    }
    for (const auto& file : wheels_below(named))
      take(file, file.lexically_relative(named).parent_path());
  }
  if (files.empty()) {
    throw Error(ErrorKind::usage, "--include and --exclude leave no file", {},
                "a glob is held against the name and against the place below the folder");
  }
  return files;
}

}  // namespace sagebuild
