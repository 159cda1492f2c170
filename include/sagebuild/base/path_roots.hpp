#pragma once
// Paths below folders, and fixed names for folders that lie elsewhere in the next build, on another
// machine, or for another Python.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sagebuild {

// Is the path the folder, or in it? By their text: both absolute (or both relative) and normal.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder);

// By the name that stands for the folder: {"tree", "/tmp/x/tree"}.
using PathRoots = std::map<std::string, std::filesystem::path>;

// "/tmp/x/tree/csrc/a.cu" -> "/sagebuild/tree/csrc/a.cu"; the deepest root wins. Others stay. The
// fixed form is an absolute path, because compilers treat relative ones in line markers
// differently.
std::string mapped_path(std::string_view path, const PathRoots& roots);
// The other way. Others stay; nothing for a fixed form whose root is not among these.
std::optional<std::filesystem::path> unmapped_path(std::string_view name, const PathRoots& roots);

// The same of every path in a text, such as a command line or a JSON document. A path begins with
// the first "/" of a word ("-I/tmp/x/tree", not "lib/tmp/x/tree"), and ends with a whole name
// ("/tmp/x/tree2" is another).
std::string with_mapped_paths(std::string_view text, const PathRoots& roots);
std::string with_unmapped_paths(std::string_view text, const PathRoots& roots);

}  // namespace sagebuild
