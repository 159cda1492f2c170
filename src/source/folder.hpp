#pragma once
// A plain folder as the source.

#include <filesystem>
#include <optional>

#include "sagebuild/source/fetch.hpp"
#include "sagebuild/vcs/repository.hpp"

namespace sagebuild {

// Copies `folder` to `root`. With its repository (it is a work tree's top folder) commit and dirty
// are recorded.
Checkout copy_folder(const std::filesystem::path& folder,
                     const std::optional<Repository>& repository, const std::filesystem::path& root,
                     const FetchOptions& options, Reporter& report);

}  // namespace sagebuild
