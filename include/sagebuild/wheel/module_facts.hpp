#pragma once
// What a shared library says of itself and wants of others.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {

// Everything but its GPU code. Only the tables that are asked for are read. Throws Error{failed} if
// it is no ELF64 file, or damaged.
ModuleFacts module_facts(const std::filesystem::path& file, std::string path_in_wheel);

// Of every ELF file in the wheel whose name `wanted` takes; unpacked one by one to the temporary
// folder. Throws Error{failed} if one is damaged.
std::vector<ModuleFacts> libraries_in(
    const WheelReader& wheel, const std::function<bool(const std::string& name)>& wanted = nullptr);

}  // namespace sagebuild
