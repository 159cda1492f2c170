#pragma once
// What `upload`, `build --upload` and the `hub` commands have in common: the flags, the settings
// made from them, and what is printed.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sagebuild/app/upload.hpp"
#include "sagebuild/cli/settings.hpp"

namespace sagebuild {

// Of every command that reaches the Hub.
std::vector<SettingSpec> hub_access_specs();
// Of every command that names its repository by --repo.
std::vector<SettingSpec> hub_repo_specs();
// Of every command that makes a commit.
std::vector<SettingSpec> hub_commit_specs();
// Of `upload` and `build --upload`; each adds how it names the repository.
std::vector<SettingSpec> shared_upload_specs();
// Checks everything that can be checked without the Hub. Throws Error{usage}.
HubSettings hub_settings(const Settings& settings, std::string_view repo);
// The repository that --repo names. Throws Error{usage} if it is missing.
std::string named_repo(const Settings& settings);
const char* word_of(PublishOutcome::Result result);
// Checks everything that can be checked without the Hub. Throws Error{usage}.
UploadSettings upload_settings(const Settings& settings, std::string_view repo,
                               std::vector<std::filesystem::path> files);
nlohmann::ordered_json upload_document(const UploadOutcome& outcome);
void print_upload(const UploadOutcome& outcome);

}  // namespace sagebuild
