#pragma once
// What a wheel asks of torch, as its metadata has it.

#include <optional>
#include <string_view>

#include "sagebuild/model/requirement.hpp"

namespace sagebuild {

// Of the line "Requires-Dist: torch>=2; ..." of METADATA. Nothing for every other line, and every
// other distribution: names are compared as PEP 503 has it, and torch-geometric or torch_scatter is
// another one.
std::optional<Requirement> torch_requirement(std::string_view line);

// Whether a mangled name is one of torch's C++ libraries, or of its Python one in C.
bool is_torch_symbol(std::string_view name);

}  // namespace sagebuild
