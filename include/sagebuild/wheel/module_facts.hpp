#pragma once
// What a shared library says of itself and wants of others.

#include <filesystem>
#include <string>

#include "sagebuild/model/wheel_facts.hpp"

namespace sagebuild {

// Everything but its GPU code. Only the tables that are asked for are read. Throws Error{failed} if
// it is no ELF64 file, or damaged.
ModuleFacts module_facts(const std::filesystem::path& file, std::string path_in_wheel);

}  // namespace sagebuild
