#pragma once
// The part of README.md that is ours.

#include <string>
#include <vector>

#include "sagebuild/hub/index.hpp"

namespace sagebuild {

// The present README with the table of these rows between the markers, or a new one. Nothing if it
// must be left alone; `warnings` says why.
std::optional<std::string> readme_with_table(const std::optional<std::string>& present,
                                             const WheelRows& rows, const IndexPlace& place,
                                             bool force, std::vector<std::string>& warnings);

}  // namespace sagebuild
