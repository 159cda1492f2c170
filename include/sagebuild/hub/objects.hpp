#pragma once
// Local files on their way to the Hub's storage: streamed from disk, in parts where the Hub says
// so, bounded in memory.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sagebuild/hub/api.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// What tells that a file is still the one that was hashed.
struct FileStamp {
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t inode = 0;

  bool operator==(const FileStamp&) const = default;
};

// Throws Error{failed} if there is no such file.
FileStamp stamp_of(const std::filesystem::path& path);

struct LocalFile {
  std::filesystem::path path;
  std::string repo_path;
  ObjectId id;
  FileStamp stamp;
};

// Hashes the file. `hashed` is told every few megabytes how many bytes are done, and may throw.
// Throws Error{failed} if it cannot be read or changes meanwhile.
LocalFile read_local_file(const std::filesystem::path& path, std::string repo_path,
                          const std::function<void(std::uint64_t)>& hashed);
// Throws Error{failed} if the file is not the one that was hashed any more, or is gone.
void require_unchanged(const LocalFile& file);

// Brings every object to the storage: asks the Hub which are missing, sends those, completes and
// verifies. An address that expires or content that arrives damaged is asked for and sent again, at
// most twice without progress. Throws the Hub's or the storage's refusal as an Error; the
// repository itself is untouched either way. Of a file in parts that an earlier run could not
// finish, the parts that the storage has are not sent again: `kept` is the folder that remembers
// them (private to this user; empty: nothing is remembered). Gives the bytes that were sent.
std::uint64_t send_objects(HubApi& api, const std::vector<const LocalFile*>& files,
                           const std::string& revision, const std::filesystem::path& kept,
                           Reporter& report);

}  // namespace sagebuild
