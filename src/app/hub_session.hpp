#pragma once
// A token, a connection and a repository: what `upload` and the `hub` commands work with.

#include <filesystem>

#include "sagebuild/app/hub_settings.hpp"
#include "sagebuild/hub/api.hpp"
#include "sagebuild/hub/publish.hpp"
#include "sagebuild/hub/token.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// Throws Error{environment} where a variable of the official client forbids to talk to the Hub.
void refuse_offline();

class HubSession {
 public:
  // Throws what refuse_offline and finding a token throw. Settings and reporter outlive the object.
  HubSession(const HubSettings& settings, Reporter& report);

  HubApi& api() { return api_; }

 private:
  HttpClient http_;
  HubToken token_;
  HubApi api_;
};

// The commit that these settings ask for, still without any change in it.
PublishRequest commit_request(const HubSettings& settings, const std::string& summary);

}  // namespace sagebuild
