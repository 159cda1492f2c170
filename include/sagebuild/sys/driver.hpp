#pragma once
// Whether this machine has a GPU that programs can use: its driver's own library is asked.

#include <optional>
#include <string>

namespace sagebuild {

// Why there is none: libcuda.so.1 cannot be loaded, finds none, or ends the process that asks it.
// Nothing: there is one. It is loaded into a child process, which takes up to a second.
std::optional<std::string> why_no_gpu();

}  // namespace sagebuild
