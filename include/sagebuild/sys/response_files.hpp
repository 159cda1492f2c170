#pragma once
// "@file" words, as every GNU tool reads them (libiberty's expandargv).

#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild {

// The command with the words of each @file in the file's place, those of files that it names in
// turn as well. Paths are relative to `cwd`, also inside of files. A file that cannot be read stays
// the word that it is. The first word is the program. Throws Error{failed} for files without end
// (2,000 of them), which the tools refuse as well.
std::vector<std::string> with_response_files(std::vector<std::string> argv,
                                             const std::filesystem::path& cwd);

}  // namespace sagebuild
