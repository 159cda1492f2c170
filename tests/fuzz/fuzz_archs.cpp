// Any text as an architecture list: it is refused, or its print is the same list again.

#include <cstdlib>

#include "sagebuild/base/error.hpp"
#include "sagebuild/model/arch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    (void)sagebuild::parse_inherited_arch_list(text);
  } catch (const sagebuild::Error&) {
  }
  try {
    const sagebuild::ArchList list = sagebuild::parse_arch_list(text);
    const std::string printed = sagebuild::print(list);
    if (!list.empty() && sagebuild::print(sagebuild::parse_arch_list(printed)) != printed)
      std::abort();
  } catch (const sagebuild::Error& error) {
    if (error.kind != sagebuild::ErrorKind::usage) std::abort();
  }
  return 0;
}
