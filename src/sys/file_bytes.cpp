#include "sagebuild/sys/file_bytes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sagebuild/base/error.hpp"

namespace sagebuild {

FileBytes::FileBytes(const std::filesystem::path& path) : name_(path.string()) {
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file_ >= 0 && fstat(file_, &info) == 0 && S_ISREG(info.st_mode)) {
    size_ = static_cast<std::uint64_t>(info.st_size);
    return;
  }
  const std::string reason = file_ >= 0 ? "it is no file" : errno_text(errno);
  if (file_ >= 0) close(file_);
  throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", name_), {reason});
}

FileBytes::~FileBytes() { close(file_); }

void FileBytes::read(std::uint64_t offset, char* into, std::size_t count) const {
  while (count > 0) {
    const ssize_t got = pread(file_, into, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", name_),
                  {got < 0 ? errno_text(errno) : "it ends too early"});
    }
    into += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
}

std::string FileBytes::read(std::uint64_t offset, std::size_t count) const {
  std::string bytes(count, '\0');
  read(offset, bytes.data(), count);
  return bytes;
}

std::optional<std::uint64_t> FileBytes::find(std::string_view bytes, std::uint64_t from,
                                             std::uint64_t to, unsigned step) const {
  constexpr std::size_t kWindow = std::size_t{1} << 20;
  for (std::uint64_t at = from; at < to && to - at >= bytes.size();) {
    // Windows overlap, so that nothing hides on an edge.
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kWindow, to - at));
    const std::string window = read(at, count);
    for (auto found = window.find(bytes); found != std::string::npos;
         found = window.find(bytes, found + 1)) {
      if ((at + found - from) % step == 0) return at + found;
    }
    if (count == to - at) break;
    at += count - (bytes.size() - 1);
  }
  return std::nullopt;
}

}  // namespace sagebuild
