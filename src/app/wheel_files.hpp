#pragma once
// Which files `upload` takes of those that were named.

#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild {

struct WheelFile {
  std::filesystem::path path;
  std::string repo_path;
};

// Files as they are named; of a folder the wheels in it and below, which keep their place relative
// to it. `folder` is where they go in the repository, empty: its root. The globs (fnmatch) hold for
// that relative place and for the name alone: with `include` only what one of them matches, and
// nothing that one of `exclude` matches. Throws Error{usage} if nothing is left, or a file is not
// there.
std::vector<WheelFile> wheel_files(const std::vector<std::filesystem::path>& named,
                                   const std::string& folder,
                                   const std::vector<std::string>& include,
                                   const std::vector<std::string>& exclude);

}  // namespace sagebuild
