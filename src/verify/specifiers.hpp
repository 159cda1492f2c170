#pragma once
// What "Requires-Dist: torch>=2.4,<2.7; sys_platform == 'linux'" lets in, and where (PEP 440, 508).

#include <optional>
#include <string_view>

#include "sagebuild/model/version.hpp"

namespace sagebuild::verifying {

// Whether ">=2.4,<2.7" lets this release in. A part that is none lets in everything.
bool allows(std::string_view specifiers, const Version& release);

// Whether "==2.4.0" or ">=2.0,<2.7" lets in nothing from that version on.
bool ends_below(std::string_view specifiers, const Version& version);

// Whether a marker holds on Linux; nothing where that is asked of something else too, as
// python_version, or where it cannot be read.
std::optional<bool> holds_on_linux(std::string_view marker);

}  // namespace sagebuild::verifying
