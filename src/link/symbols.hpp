#pragma once
// Who exports what a module wants. Private to this folder.

#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild::linking {

// Where a module's wishes may be met. In each list the libraries that a file needs in turn count
// with it.
struct Providers {
  std::vector<std::filesystem::path> linked;  // libraries that the linker read
  // Where needed libraries are looked for, behind their own run paths
  std::vector<std::filesystem::path> folders;
  // Programs and libraries that are loaded before the module
  std::vector<std::filesystem::path> files;
  // Folders of libraries: read last, while something is missing
  std::vector<std::filesystem::path> others;
};

struct SymbolSearch {
  std::vector<std::string> missing;          // mangled, sorted: nothing exports them
  std::vector<std::filesystem::path> found;  // the files that export the others
};

// Throws Error{failed} if `module` is no ELF64 file; other files that are none are passed over.
SymbolSearch search_symbols(const std::filesystem::path& module, const Providers& providers);

}  // namespace sagebuild::linking
