#include "cli/full_disk.hpp"

#include <fmt/format.h>

#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {

std::optional<std::string> full_disk_hint(std::string_view text) {
  if (text.find("No space left on device") == std::string_view::npos &&
      text.find("Disk quota exceeded") == std::string_view::npos) {
    return std::nullopt;
  }
  return fmt::format(
      "a disk is full: free some space, or use another one for temporary files (TMPDIR, now '{}') "
      "or for what is kept "
      "(SAGEBUILD_CACHE_DIR, now '{}')",
      environment_value("TMPDIR").value_or("/tmp"), cache_folder().string());
}

}  // namespace sagebuild
