#pragma once
// Source archives: tar of any compression, and zip.

#include <filesystem>

#include "tree_writer.hpp"

namespace sagebuild {

// Hands every member to `tree`. Error{failed} for a damaged archive or a member that is no file,
// folder or link; Error{usage} for a file that is no archive. Interrupted.
void unpack_archive(const std::filesystem::path& archive, TreeWriter& tree);

// Throws Error{usage} for a file that is no archive; reads no more than its beginning.
void require_archive(const std::filesystem::path& archive);

}  // namespace sagebuild
