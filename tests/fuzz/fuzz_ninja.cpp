// Any text as a ninja file: it is refused with its place, or read.

#include <cstdlib>

#include "sagebuild/base/error.hpp"
#include "sagebuild/probe/ninja_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    for (const sagebuild::NinjaBuild& build : sagebuild::parse_ninja(text, "build.ninja"))
      if (build.outputs.empty() || build.rule.empty()) std::abort();
  } catch (const sagebuild::Error& error) {
    if (error.kind != sagebuild::ErrorKind::failed ||
        error.message.find("build.ninja") == std::string::npos)
      std::abort();
  }
  return 0;
}
