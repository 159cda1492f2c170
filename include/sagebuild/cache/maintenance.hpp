#pragma once
// What `sagebuild cache` does to a cache's folder. All of it is safe while builds use the folder:
// they see misses.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

struct CacheStat {
  std::uint64_t entries = 0;  // results and manifests
  std::uint64_t blobs = 0;    // file contents
  std::uint64_t entry_bytes = 0;
  std::uint64_t blob_bytes = 0;
  std::uint64_t other_bytes = 0;  // descriptions of keys, costs, remembered digests
  std::uint64_t total_bytes() const { return entry_bytes + blob_bytes + other_bytes; }
};

CacheStat cache_stat(const std::filesystem::path& folder);

struct CacheCleaning {
  std::uint64_t removed_files = 0;
  std::uint64_t removed_bytes = 0;
  // Of those, temporary files that a killed process left more than an hour ago
  std::uint64_t orphans = 0;
  std::uint64_t remaining_bytes = 0;
};

// Removes orphans and then the least recently used until at most `limit` bytes are left. A file
// that cannot be removed stays.
CacheCleaning cache_gc(const std::filesystem::path& folder, std::uint64_t limit);
// Removes everything that the cache made, the history of costs included; other files in the folder
// stay.
CacheCleaning cache_clear(const std::filesystem::path& folder);

struct CacheVerification {
  std::uint64_t checked = 0;
  std::vector<std::string> damaged;  // removed; relative paths
  // Entries whose contents are gone (or only on the remote): not an error
  std::uint64_t incomplete = 0;
};

// Reads and checks every file.
CacheVerification cache_verify(const std::filesystem::path& folder);

struct KeyDifference {
  std::string kind;
  std::string subject;
  // "arguments: ... -O2 ... -> ... -O3 ...; ptx: sha256:12ab... -> sha256:34cd..."
  std::string text;
};

// For every subject that holds `pattern` (empty: all) and has at least two keys: what differs
// between its newest and the nearest earlier one.
std::vector<KeyDifference> cache_explain(const std::filesystem::path& folder,
                                         std::string_view pattern);

}  // namespace sagebuild
