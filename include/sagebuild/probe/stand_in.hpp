#pragma once
// The programs that setup.py meets instead of ninja, the compiler driver and, where it compiles
// without ninja, nvcc while it is recorded. They are this same binary under the names
// `ninja`, `g++` and `nvcc`, and write what they were asked to do into $SAGEBUILD_RECORD.

#include <optional>
#include <string>
#include <vector>

namespace sagebuild {

// Folder for the records
inline constexpr const char* kRecordVariable = "SAGEBUILD_RECORD";
inline constexpr const char* kRealCompilerVariable = "SAGEBUILD_REAL_COMPILER";  // full path
inline constexpr const char* kRealNvccVariable = "SAGEBUILD_REAL_NVCC";          // full path

// If this process was started under a stand-in's name by a recording, does its work and gives the
// exit code.
std::optional<int> run_as_stand_in(const std::vector<std::string>& argv);

}  // namespace sagebuild
