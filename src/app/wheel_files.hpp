#pragma once
// Which files `upload` takes of those that were named.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/app/upload.hpp"

namespace sagebuild {

struct WheelFile {
  std::filesystem::path path;
  std::string repo_path;
};

// Files as they are named; of a folder the wheels in it and below, which keep their place relative
// to it. The globs hold for that relative place and for the name alone: with `include` only what
// one of them matches, and nothing that one of `exclude` matches. Throws what
// require_wheel_argument throws, and Error{usage} if nothing is left.
std::vector<WheelFile> wheel_files(const UploadSettings& settings);

}  // namespace sagebuild
