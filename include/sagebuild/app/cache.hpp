#pragma once
// The cache of a build, as the user chose it.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/cache/cache.hpp"

namespace sagebuild {

struct CacheChoice {
  bool off = false;
  std::uint64_t limit = 20'000'000'000;  // bytes
  // URL of a remote cache, empty for none; it may hold user:password@.
  std::string remote;
  Secret token;  // for a remote that wants a bearer token
  bool remote_read_only = false;
  bool shared = false;   // others can write to the cache folder, and are trusted
  bool explain = false;  // say of each miss which input changed
};

// The folder of the action cache below cache_folder(): also what `sagebuild cache` looks after.
std::filesystem::path action_cache_folder();
// Throws Error{environment} if others can put files into the cache folder: results that are linked
// into wheels, and environments whose programs are run. `shared`: the user has said that these
// others are trusted.
void require_own_cache(bool shared);

// Throws Error{usage} for a remote that is no http or https URL.
std::unique_ptr<ActionCache> open_build_cache(CacheChoice choice, Reporter& report);

}  // namespace sagebuild
