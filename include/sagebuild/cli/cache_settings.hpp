#pragma once
// The settings of the cache, for every command that builds.

#include <vector>

#include "sagebuild/app/cache.hpp"
#include "sagebuild/cli/settings.hpp"

namespace sagebuild {

// Rows for a command's table: no-cache, cache-limit, cache-remote, cache-remote-read-only, explain.
std::vector<SettingSpec> cache_specs();

// A bearer token comes from SAGEBUILD_CACHE_TOKEN alone: a flag would show it to every user of the machine.
CacheChoice cache_choice(const Settings& settings);

}  // namespace sagebuild
