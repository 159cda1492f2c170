#pragma once
// What setup.py would compile and link: recorded, not run.

#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild {

enum class Language { cuda, cxx, c };

struct RecordedSource {
  std::filesystem::path source;  // absolute
  std::filesystem::path object;  // absolute, where ninja would have put it
  Language language = Language::cxx;
  // Compiler and flags, shell words; without -c, -o, source and dependency options
  std::vector<std::string> argv;
  std::filesystem::path cwd;  // where ninja would have run it
};

struct RecordedModule {
  std::string name;  // "sageattention._fused"
  // Relative to the wheel: "sageattention/_fused.cpython-311-x86_64-linux-gnu.so"
  std::filesystem::path output;
  std::vector<RecordedSource> sources;
  // The whole link command, real driver first, with -o and the objects
  std::vector<std::string> link;
  std::filesystem::path link_cwd;
};

struct RecordedBuild {
  std::vector<RecordedModule> modules;
  std::filesystem::path wheel;  // complete, but its modules are empty files
  // Environment variables that the project's own Python code asked for, set or not; sorted. Empty
  // without a cache.
  std::vector<std::string> variables = {};
};

}  // namespace sagebuild
