#pragma once
// Symbols and needs of ELF files, through libelf: the one place that reads them. Only pages that
// are asked for are read, so a library of a gigabyte costs milliseconds.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

bool is_elf(const std::filesystem::path& path);  // by its first bytes; no file is none

// Undefined symbols of an ELF64 object, mangled. Throws Error{failed} if it is none.
std::vector<std::string> undefined_symbols(const std::filesystem::path& object);

// What an object has for others, but for what may stand in several (inline functions, templates).
struct ObjectExports {
  std::vector<std::string> names;  // sorted
  struct Function {
    // Its bytes, with zeros where the linker fills in, and what is filled in by name
    std::string code;
    std::vector<std::string> uses;
  };
  std::map<std::string, Function> functions;
};
// Of an ELF64 object. Throws Error{failed} if it is none.
ObjectExports object_exports(const std::filesystem::path& object);

// What the dynamic section of a library or a program says.
struct DynamicInfo {
  std::string soname;
  std::vector<std::string> needed;     // "libc.so.6"
  std::vector<std::string> run_paths;  // of DT_RPATH and DT_RUNPATH, "$ORIGIN" as it stands
};
// All empty for a file without one. Throws Error{failed} if it is no ELF64 file.
DynamicInfo dynamic_info(const std::filesystem::path& file);

// The dynamic symbols that a library or a program wants of others; weak ones are left out. Throws
// as dynamic_info.
std::vector<std::string> wanted_symbols(const std::filesystem::path& file);
// Calls `found` with the name of each dynamic symbol that it has for others. Throws as
// dynamic_info.
void each_exported_symbol(const std::filesystem::path& file,
                          const std::function<void(std::string_view)>& found);

}  // namespace sagebuild
