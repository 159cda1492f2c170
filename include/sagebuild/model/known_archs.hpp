#pragma once

#include <vector>

#include "sagebuild/model/arch.hpp"

namespace sagebuild {

// Every architecture that is known, plain, sorted.
std::vector<Arch> known_archs();

}  // namespace sagebuild
