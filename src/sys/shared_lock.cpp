#include "sagebuild/sys/shared_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace sagebuild {

SharedLock::SharedLock(const std::filesystem::path& path)
    : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (fd_ < 0 || flock(fd_, LOCK_SH | LOCK_NB) == 0) return;
  close(fd_);
  fd_ = -1;
}

SharedLock::~SharedLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace sagebuild
