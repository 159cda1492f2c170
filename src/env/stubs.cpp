#include "sagebuild/env/stubs.hpp"

#include "sagebuild/sys/paths.hpp"

namespace sagebuild {

std::filesystem::path toolkit_stubs(const std::filesystem::path& cuda_home) {
  for (const char* place : {"lib64/stubs", "lib/stubs"}) {
    if (is_there(cuda_home / place / "libcuda.so")) return cuda_home / place;
  }
  return {};
}

}  // namespace sagebuild
