#pragma once
// Whether a zip archive says the same everywhere: end record, central directory, local headers.
// libzip and Python's zipfile read the directory alone, other tools the local headers, so an
// archive that disagrees with itself is a different one to each (PyPI refuses such since 2025-08).

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild {

// What is wrong with it, each naming the entry or the place; empty: nothing. Also: names that occur
// twice or lead outside, links, names that are no UTF-8. Throws Error{failed} for what must not be
// read on: no archive at all, one whose directory does not hold, a bomb (entries over each other, a
// hundred times its own size, or more entries than any wheel has). Reads headers only.
std::vector<std::string> zip_faults(const std::filesystem::path& path);

}  // namespace sagebuild
