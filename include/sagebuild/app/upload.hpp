#pragma once
// `sagebuild upload`: sound wheels become one commit on the Hub.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/app/hub_settings.hpp"
#include "sagebuild/hub/publish.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

struct UploadSettings : HubSettings {
  std::vector<std::filesystem::path> files;  // wheels, and folders with wheels
  std::vector<std::string> include;          // globs; empty: all
  std::vector<std::string> exclude;
  std::string folder;  // in the repository; empty: its root
  bool create = false;
  bool is_private = false;
  bool unverified = false;     // wheels that fail verify are sent all the same
  bool public_ok = false;      // with is_private: a public repository will do
  bool fix_names = false;      // a name that a download has changed is made true again
  std::string sdk = "static";  // of a Space that is made
  // Remembers the parts of a file that an interrupted run has sent; empty: nothing does
  std::filesystem::path kept_uploads = cache_folder() / "uploads";
};

// Where one published file is found, pinned to the commit. In a private repository the lines fetch
// it with the token in HF_TOKEN.
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
  std::string repo_url;
  std::string commit_url;  // empty after a dry run
  double seconds = 0;
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
