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
  bool explain = false;  // say of each miss which input changed
};

// The folder of the action cache below cache_folder(): also what `sagebuild cache` looks after.
std::filesystem::path action_cache_folder();

// Throws Error{usage} for a remote that is no http or https URL.
std::unique_ptr<ActionCache> open_build_cache(CacheChoice choice, Reporter& report);

}  // namespace sagebuild
