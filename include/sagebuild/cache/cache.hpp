#pragma once
// The cache that builds use: a folder, and behind it, if one is given, a remote cache over HTTP.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// A server with the layout that Bazel's remote caches speak: GET and PUT of /ac/KEY and /cas/SHA256
// below `url`. nginx with its DAV module (PUT allowed, no size limit) will do, and bazel-remote as
// it comes. Whoever can write there decides what others link: keep writing for those you trust.
struct RemoteCacheSettings {
  std::string url;   // "https://cache.example/sagebuild"; https is verified, there is no switch
  std::string user;  // with it basic authentication, else `secret` is a bearer token
  Secret secret;     // empty: none
  bool read_only = false;
  // A build never waits longer than this for one answer, nor for one that comes slower than 1 MB/s
  // after it.
  std::chrono::milliseconds patience{5000};
  // How long flush() waits for uploads.
  std::chrono::milliseconds flush_limit{30000};
};

struct CacheSettings {
  std::filesystem::path folder;          // see cache_folder() in sys/files.hpp
  std::uint64_t limit = 20'000'000'000;  // bytes; the least recently used goes first
  std::optional<RemoteCacheSettings> remote = {};
  bool explain = false;  // note why each miss missed whose subject was stored before
};

// Never throws for a folder or server that does not work: such a cache misses, and says so once.
std::unique_ptr<ActionCache> open_cache(CacheSettings settings, Reporter& report);

// Keeps nothing: --no-cache. Digests of files still work.
std::unique_ptr<ActionCache> no_cache();

// Costs of steps in a subfolder of the cache's folder. What cannot be read or written is forgotten
// silently.
std::unique_ptr<CostHistory> open_history(const std::filesystem::path& folder);

}  // namespace sagebuild
