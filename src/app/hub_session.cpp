#include "app/hub_session.hpp"

#include <fmt/format.h>

#include <memory>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/oidc.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/signals.hpp"

namespace sagebuild {
namespace {

// "X-HF-Warning: topic; message", as the official client reads it; each topic once. Of the Hub
// alone: the storage has nothing to say in its name.
void show_warnings(const Response& response, const std::string& endpoint,
                   std::set<std::string>& topics, Reporter& report) {
  if (origin_of(response.url) != origin_of(endpoint)) return;
  for (const auto& [name, value] : response.headers.fields()) {
    if (lower(name) != "x-hf-warning") continue;
    const auto end = value.find(';');
    const std::string topic = end == std::string::npos ? "" : value.substr(0, end);
    const std::string_view text =
        end == std::string::npos ? value : std::string_view(value).substr(end + 1);
    if (topics.insert(topic).second) report.warning(fmt::format("the Hub says: {}", trimmed(text)));
  }
}

HttpSettings http_for(const HubSettings& settings, Reporter& report) {
  refuse_offline();
  HttpSettings http = settings.http;
  http.user_agent = "sagebuild/" + program_version();
  http.tick = throw_if_interrupted;
  http.log = [&report](std::string_view line) { report.detail(line); };
  http.on_answer = [&report, endpoint = settings.endpoint,
                    topics = std::make_shared<std::set<std::string>>()](const Response& response) {
    show_warnings(response, endpoint, *topics, report);
  };
  http.on_retry = [&report](const Request& request, const Response& response,
                            std::chrono::milliseconds wait) {
    report.note(fmt::format("{}{}; trying again in {}", described(request, response),
                            response.ok() ? ", with an answer that is not the Hub's" : "",
                            human_time(static_cast<double>(wait.count()) / 1000)));
  };
  return http;
}

// A token that was named comes first, then the identity of a CI job, as in the official client.
HubToken token_for(const HubSettings& settings, HttpClient& http, Reporter& report) {
  std::optional<HubToken> exchanged;
  if (!settings.token_file) exchanged = token_from_oidc(http, settings.endpoint);
  HubToken token = exchanged ? *std::move(exchanged) : find_hub_token(settings.token_file);
  if (!token.secret.empty()) report.detail(fmt::format("token from {}", token.origin));
  return token;
}

}  // namespace

void refuse_offline() {
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    const std::string value = lower(environment_value(name).value_or(""));
    if (value == "1" || value == "on" || value == "yes" || value == "true") {
      throw Error(ErrorKind::environment, fmt::format("{} forbids to talk to the Hub", name), {},
                  fmt::format("unset {}", name));
    }
  }
}

HubSession::HubSession(const HubSettings& settings, Reporter& report)
    : http_(http_for(settings, report)),
      token_(token_for(settings, http_, report)),
      api_(http_, settings.endpoint, token_, settings.repo) {}

PublishRequest commit_request(const HubSettings& settings, const std::string& summary) {
  PublishRequest request;
  request.branch = settings.branch;
  request.open_pull = settings.open_pull;
  request.force = settings.force;
  request.dry_run = settings.dry_run;
  request.index = settings.index;
  request.summary = summary;
  if (!settings.commit_message.empty()) {
    const auto end = settings.commit_message.find('\n');
    request.summary = settings.commit_message.substr(0, end);
    if (end != std::string::npos)
      request.description = fmt::format("{}\n\n", trimmed(settings.commit_message.substr(end)));
  }
  return request;
}

}  // namespace sagebuild
