#pragma once
// What every command that talks to a repository on the Hub needs to know.

#include <filesystem>
#include <optional>
#include <string>

#include "sagebuild/hub/index.hpp"
#include "sagebuild/hub/repo.hpp"
#include "sagebuild/net/http.hpp"

namespace sagebuild {

struct HubSettings {
  RepoId repo;
  std::string branch = "main";
  bool open_pull = false;
  bool force = false;
  bool dry_run = false;
  std::string commit_message;  // its first line is the summary; empty: what the command does
  IndexOptions index;
  std::optional<std::filesystem::path> token_file;
  std::string endpoint;  // see hub_endpoint()
  // Timeouts and retries; the rest is filled in
  HttpSettings http = http_settings_from_environment();
};

}  // namespace sagebuild
