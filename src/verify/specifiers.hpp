#pragma once
// What "Requires-Dist: torch>=2.4,<2.7" lets in (PEP 440).

#include <string_view>

#include "sagebuild/model/version.hpp"

namespace sagebuild::verifying {

// Whether ">=2.4,<2.7" lets this release in. A part that is none lets in everything.
bool allows(std::string_view specifiers, const Version& release);

// Whether "==2.4.0" or ">=2.0,<2.7" lets in nothing from that version on.
bool ends_below(std::string_view specifiers, const Version& version);

}  // namespace sagebuild::verifying
