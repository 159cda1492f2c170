#pragma once
// The other side of FileLock: many hold it at once, and who wants the file alone waits for all of
// them.

#include <filesystem>

namespace sagebuild {

class SharedLock {
 public:
  // Makes the file where it is missing. Where it cannot be made or locked, or somebody has it
  // alone, nothing is held.
  explicit SharedLock(const std::filesystem::path& path);
  ~SharedLock();
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

  bool held() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace sagebuild
