#include "sys/fail.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <string>

#include "sagebuild/base/error.hpp"

namespace sagebuild {

void fail(std::string_view what, const std::filesystem::path& path, int number) {
  std::string hint;
  if (number == ENOSPC || number == EDQUOT) {
    hint =
        fmt::format("the disk that holds '{}' is full: free some space, or choose another folder",
                    path.parent_path().string());
  } else if (number == EACCES || number == EPERM || number == EROFS) {
    hint = "check its permissions and those of the folders above it, or choose another place";
  } else if (number == ENOTDIR || number == EEXIST) {
    hint = "something that is no folder has that name: move it away, or choose another name";
  } else if (number == ENOENT) {
    hint = "check the name, and that nothing removes it meanwhile";
  } else if (number == ELOOP) {
    hint = "links there lead in a circle: remove one of them";
  } else {
    hint = "check that disk, or choose another place";
  }
  throw Error(ErrorKind::failed, fmt::format("cannot {} '{}'", what, path.string()),
              {errno_text(number)}, hint);
}

}  // namespace sagebuild
