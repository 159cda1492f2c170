#pragma once
// SHA-256 of files that seldom change (headers, compilers), remembered by device, inode, size,
// mtime and ctime. Reading and hashing 1,800 headers takes 40 ms, their stat 2 ms, and cicc alone
// is 80 MB.
//
// A file that changed so lately that another change could get the same time stamps is hashed every
// time ("racy" in git's words). A file from the future counts as such: a clock that goes backwards
// costs time, never truth.

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "sagebuild/base/digest.hpp"

namespace sagebuild {

// When a file's content or its inode last changed, in nanoseconds since 1970; made later by what
// the stamp may hide.
std::int64_t latest_change(const struct stat& status);

// Time stamps are taken from the kernel's tick, which may lag behind the clock by up to 10 ms.
inline constexpr std::chrono::milliseconds kStampLag{20};

struct FileContent {
  Digest bytes;
  Digest code;  // as code_digest has it; of a file that is no code, `bytes`
  bool may_embed = false;
};

// All calls are thread-safe; files are read beside each other.
class FileDigests {
 public:
  using Clock = std::chrono::system_clock;

  // `memory`: the file that keeps them between runs; a missing or damaged one is an empty one.
  explicit FileDigests(std::filesystem::path memory,
                       std::function<Clock::time_point()> now = Clock::now);

  // Of its bytes. Throws Error{failed} if it cannot be read.
  Digest of(const std::filesystem::path& path) { return content(path).bytes; }
  // Nothing if there is no such file or it cannot be read. The content of a folder is the names in
  // it.
  std::optional<FileContent> of_existing(const std::filesystem::path& path);

  std::size_t hashed() const;  // how many files were really read
  // Throws Error{failed} if the memory cannot be written.
  void save();

 private:
  using Identity =
      std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::int64_t, std::int64_t>;
  struct Known {
    FileContent content;
    bool as_code = false;  // read as such: a file may have a second name, with another suffix
    bool used = false;
  };

  FileContent content(const std::filesystem::path& path);
  std::optional<FileContent> known_content(const Identity& identity, bool as_code);
  void load();

  std::filesystem::path memory_;
  std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<Identity, Known> known_;
  bool changed_ = false;
  std::size_t hashed_ = 0;
};

}  // namespace sagebuild
