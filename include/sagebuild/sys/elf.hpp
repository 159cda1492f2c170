#pragma once
// Symbols and needs of ELF files, through libelf: the one place that reads them. Only pages that
// are asked for are read, so a library of a gigabyte costs milliseconds.

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

bool is_elf(const std::filesystem::path& path);  // by its first bytes; no file is none

struct ElfHeader {
  unsigned machine = 0;  // EM_X86_64, ...
  unsigned flags = 0;    // their meaning is the machine's
};
// Throws Error{failed} if it is no ELF64 file.
ElfHeader elf_header(const std::filesystem::path& file);

// Undefined symbols of an ELF64 object, mangled. Throws Error{failed} if it is none.
std::vector<std::string> undefined_symbols(const std::filesystem::path& object);

// Variables of an ELF64 object that no other unit sees and that can be written, static ones of
// functions among them, mangled. Throws as undefined_symbols.
std::vector<std::string> local_variables(const std::filesystem::path& object);

struct ObjectContent {
  // What it has for others, but for what may stand in several (inline functions, templates).
  // Sorted.
  std::vector<std::string> exports;
  struct Function {
    // Its bytes, with zeros where the linker fills in, and what is filled in: a symbol by its name,
    // a constant by its bytes, a local variable by its section and its bytes. Two objects can be
    // compared so if each function and variable has a section of its own.
    std::string code;
    std::vector<std::string> uses;  // symbols, and the sections of local ones
  };
  std::map<std::string, Function> functions;  // all that it defines, local ones too
};
// Of an ELF64 object. Throws Error{failed} if it is none.
ObjectContent object_content(const std::filesystem::path& object);

// The name of the first section whose bytes, size or flags are not the same in two GPU images;
// nothing if all are but notes, which hold the tools' options and the architecture of the PTX.
// Throws as elf_header.
std::optional<std::string> differing_section(const std::filesystem::path& cubin,
                                             const std::filesystem::path& other);

// What the dynamic section of a library or a program says.
struct DynamicInfo {
  std::string soname;
  std::vector<std::string> needed;     // "libc.so.6"
  std::vector<std::string> run_paths;  // of DT_RPATH and DT_RUNPATH, "$ORIGIN" as it stands
};
// All empty for a file without one. Throws Error{failed} if it is no ELF64 file.
DynamicInfo dynamic_info(const std::filesystem::path& file);

// Whether a run path lies below the folder of the library itself: "$ORIGIN/../lib".
bool is_below_origin(std::string_view run_path);

// The dynamic symbols that a library or a program wants of others; weak ones are left out. Throws
// as dynamic_info.
std::vector<std::string> wanted_symbols(const std::filesystem::path& file);
// Calls `found` with the name of each dynamic symbol that it has for others. Throws as
// dynamic_info.
void each_exported_symbol(const std::filesystem::path& file,
                          const std::function<void(std::string_view)>& found);

}  // namespace sagebuild
