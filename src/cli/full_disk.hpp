#pragma once
// What to do when a disk is full. Compilers, Python and setuptools say that in their own words, and
// whoever ran them takes it for a fault of the sources or of the toolkit.

#include <optional>
#include <string>
#include <string_view>

namespace sagebuild {

// A hint, if `text` is of a full disk.
std::optional<std::string> full_disk_hint(std::string_view text);

}  // namespace sagebuild
