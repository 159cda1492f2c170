#pragma once
// A link command taken apart: what its words name, by the way in which it reaches the module.
// Private to this folder.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sagebuild/base/path_roots.hpp"

namespace sagebuild::linking {

// One word as the driver or the linker gets it.
struct Token {
  std::string text;
  bool linker = false;
};
// Without the first word, the program. -Wl and -Xlinker are taken apart.
std::vector<Token> tokens_of(const std::vector<std::string>& argv);

struct LinkWords {
  std::vector<std::string> key;  // fixed names for folders that do not reach the module
  std::vector<std::filesystem::path> folders;  // of -L, in order, absolute
  std::vector<std::string> asked;              // "libbar.so", "libbar.a" of -lbar
  // That words name beside the objects: archives, scripts, lists
  std::vector<std::filesystem::path> files;
  std::string unknown;  // why it cannot be told what the command reads; empty: it can
};

// @files of both the driver and the linker in their place.
std::vector<std::string> expanded(const std::vector<std::string>& argv,
                                  const std::filesystem::path& cwd);

// `argv` is expanded; `objects` are words and the fixed names that stand for them. Looks at which
// words name files.
LinkWords link_words(const std::vector<std::string>& argv, const std::filesystem::path& cwd,
                     const std::map<std::string, std::string>& objects, const PathRoots& roots);

}  // namespace sagebuild::linking
