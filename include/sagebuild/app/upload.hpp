#pragma once
// `sagebuild upload`: sound wheels become one commit on the Hub.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/hub/publish.hpp"
#include "sagebuild/hub/repo.hpp"
#include "sagebuild/net/http.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct UploadSettings {
  RepoId repo;
  std::vector<std::filesystem::path> files;  // wheels
  std::string folder;                        // in the repository; empty: its root
  std::string branch = "main";
  bool open_pull = false;
  bool create = false;
  bool is_private = false;
  bool force = false;
  bool dry_run = false;
  bool unverified = false;  // wheels that fail verify are sent all the same
  std::optional<std::filesystem::path> token_file;
  std::string endpoint;  // see hub_endpoint()
  // Timeouts and retries; the rest is filled in
  HttpSettings http = http_settings_from_environment();
};

// Where one published file is found, pinned to the commit.
struct PublishedWheel {
  PublishedFile file;
  std::string url;  // empty after a dry run
  std::string pip;
  std::string uv;
  std::string dockerfile;
};

struct UploadOutcome {
  PublishOutcome published;
  std::vector<PublishedWheel> wheels;
};

// The wheels that the last build left in `folder`: those that .sagebuild-last.json names, else all.
// Throws Error{usage} if there are none.
std::vector<std::filesystem::path> wheels_of_last_build(const std::filesystem::path& folder);
// Written by build, so that `upload` without a file knows what the last build made.
void remember_last_build(const std::filesystem::path& folder,
                         const std::vector<std::filesystem::path>& wheels);

// For `build --upload`: throws what an upload would throw for want of a token, of rights or of the
// repository, hours earlier.
void require_upload_access(const UploadSettings& settings, Reporter& report);

// Throws what require_sound_wheel, require_verified, find_hub_token and publish throw.
UploadOutcome upload(const UploadSettings& settings, Reporter& report);

}  // namespace sagebuild
