#pragma once
// The settings of the cache, for every command that builds.

#include <vector>

#include "sagebuild/app/cache.hpp"
#include "sagebuild/cli/settings.hpp"

namespace sagebuild {

// Rows for a command's table: no-cache, cache-limit, cache-remote, cache-remote-read-only, explain.
std::vector<SettingSpec> cache_specs();

// For every command that takes results, environments or toolkits from the cache folder.
inline const SettingSpec kAllowSharedCache = {
    "allow-shared-cache",
    "use a cache folder that others can write to: they decide what is linked and run",
    "",
    {},
    true};

// A bearer token comes from SAGEBUILD_CACHE_TOKEN alone: a flag would show it to every user of the
// machine.
CacheChoice cache_choice(const Settings& settings);

}  // namespace sagebuild
