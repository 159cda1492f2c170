#pragma once
// The folder on disk, in the layout of Bazel's disk cache: ac/XX/KEY holds sealed entries,
// cas/XX/SHA256 file contents. Files appear by rename only and are never changed, there are no
// locks, so many processes and threads may share it, on NFS too. Whatever is read is checked; what
// is damaged is removed and counts as absent. The time of last use is the file's mtime.
//
// Contents are copied out, not hard-linked: they must be read to be checked anyway, a tool that
// works in place (strip) would change the cache through a link, and a copy works between file
// systems. Measured cost: see bench/cache in the notes.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/model/action_cache.hpp"

namespace sagebuild {

class LocalStore {
 public:
  explicit LocalStore(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path entry_path(const Digest& key) const;
  std::filesystem::path blob_path(const Digest& digest) const;

  // The body under a key; a hit is marked as used.
  std::optional<std::string> entry(const Digest& key);
  void put_entry(const Digest& key, std::string_view body);  // throws Error{failed}
  void remove_entry(const Digest& key);                      // as damaged

  // Says whether a blob of that size lies here, and marks it as used. The content is checked by
  // copy_blob.
  bool has_blob(const ResultFile& file);
  // False: the file is not as described any more. Throws Error{failed} if the store cannot be
  // written.
  bool put_blob(const std::filesystem::path& file, const ResultFile& described);
  // False: absent or damaged. Throws Error{failed} if the destination cannot be written.
  bool copy_blob(const ResultFile& file, const std::filesystem::path& destination);

  std::uint64_t damaged() const { return damaged_; }

 private:
  std::filesystem::path root_;
  std::atomic<std::uint64_t> damaged_ = 0;
};

// Digest, size and mode of a file. Throws Error{failed} if it cannot be read.
ResultFile result_file(const std::filesystem::path& path);

// Copies while hashing. False: `from` cannot be read or is not `expected`, and then `to` is
// untouched. Throws Error{failed} if `to` cannot be written.
bool copy_checked(const std::filesystem::path& from, const ResultFile& expected,
                  const std::filesystem::path& to);

}  // namespace sagebuild
