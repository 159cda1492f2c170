// Any file name as a wheel's: it is none, or its parts make it again.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "sagebuild/model/wheel_name.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  constexpr std::size_t kLongestName = 255;  // NAME_MAX of Linux
  const std::string file(reinterpret_cast<const char*>(data), std::min(size, kLongestName));
  (void)sagebuild::cuda_of_label(file);
  (void)sagebuild::torch_of_label(file);
  const auto name = sagebuild::parse_wheel_name(file);
  if (!name) return 0;
  const std::string build = name->build.empty() ? "" : "-" + name->build;
  if (fmt::format("{}-{}{}-{}-{}-{}.whl", name->distribution, name->version, build, name->python,
                  name->abi, name->platform) != file)
    std::abort();
  if (sagebuild::expanded_tags(*name).empty()) std::abort();
  if (name->local_label().size() > name->version.size()) std::abort();
  return 0;
}
