#pragma once
// The part of `verify` that builds a wheel again.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sagebuild/app/rebuild.hpp"
#include "sagebuild/cli/settings.hpp"

namespace sagebuild {

// Rows for the table of verify: rebuild, and what it may be told.
std::vector<SettingSpec> rebuild_specs();
RebuildSettings rebuild_settings(const Settings& settings, const std::string& wheel);

nlohmann::ordered_json rebuild_document(const RebuildOutcome& outcome);
std::string rebuild_text(const RebuildOutcome& outcome);  // ends with a newline

}  // namespace sagebuild
