#pragma once
// Whether this machine has a GPU that programs can use: its driver's own library is asked.

#include <optional>
#include <string>

namespace sagebuild {

// Why there is none: libcuda.so.1 cannot be loaded, or finds none. Nothing: there is one. It is
// loaded into this process, which takes up to a second.
std::optional<std::string> why_no_gpu();

}  // namespace sagebuild
