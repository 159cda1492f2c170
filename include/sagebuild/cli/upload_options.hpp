#pragma once
// What `upload` and `build --upload` have in common: the flags, the settings made from them, and
// what is printed.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sagebuild/app/upload.hpp"
#include "sagebuild/cli/settings.hpp"

namespace sagebuild {

// Flags of both commands; each adds how it names the repository.
std::vector<SettingSpec> shared_upload_specs();
// Checks everything that can be checked without the Hub. Throws Error{usage}.
UploadSettings upload_settings(const Settings& settings, std::string_view repo,
                               std::vector<std::filesystem::path> files);
nlohmann::ordered_json upload_document(const UploadOutcome& outcome);
void print_upload(const UploadOutcome& outcome);

}  // namespace sagebuild
