#include "sagebuild/hub/oidc.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/api.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

// A text of an answer that must be there. Not read by Field, which shows what it refuses: that
// could be the secret.
Secret secret_in(const Request& asked, const Response& response, const char* key,
                 const std::string& doing) {
  if (!response.ok()) throw hub_error(doing, asked, response);
  const json answer = parse_json(response.body).value.value_or(json());
  if (!answer.is_object() || !answer.contains(key) || !answer[key].is_string() ||
      trimmed(answer[key].get<std::string>()).empty()) {
    throw Error(ErrorKind::network, "cannot " + doing,
                {described(asked, response), fmt::format("the answer holds no '{}'", key)});
  }
  return Secret(std::string(trimmed(answer[key].get<std::string>())));
}

Secret identity_of_job(HttpClient& http, const std::string& endpoint) {
  if (const auto given = environment_value("HF_OIDC_ID_TOKEN"))
    return Secret(std::string(trimmed(*given)));
  const auto address = environment_value("ACTIONS_ID_TOKEN_REQUEST_URL");
  const auto password = environment_value("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
  if (!address || !password) {
    throw Error(ErrorKind::environment,
                "HF_OIDC_RESOURCE is set, but this job has no identity to show",
                {"neither HF_OIDC_ID_TOKEN nor ACTIONS_ID_TOKEN_REQUEST_URL is set"},
                "on GitHub give the job `permissions: id-token: write`; elsewhere set "
                "HF_OIDC_ID_TOKEN");
  }
  const Secret secret{*password};
  Request asked;
  asked.url =
      fmt::format("{}{}audience={}", *address, address->find('?') == std::string::npos ? "?" : "&",
                  percent_encoded(endpoint));
  asked.credentials = {Credentials::Scheme::bearer, "", &secret};
  return secret_in(asked, http.send(asked), "value", "get the identity of this job");
}

}  // namespace

std::optional<HubToken> token_from_oidc(HttpClient& http, const std::string& endpoint) {
  const auto resource = environment_value("HF_OIDC_RESOURCE");
  if (!resource) return std::nullopt;
  const Secret identity = identity_of_job(http, endpoint);
  Request asked;
  asked.method = "POST";
  asked.url = endpoint + "/oauth/token";
  asked.headers = {{"Content-Type", "application/json"}};
  asked.body = json_line(json{{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
                              {"subject_token_type", "urn:ietf:params:oauth:token-type:id_token"},
                              {"subject_token", identity.reveal()},
                              {"resource", *resource}});
  const std::string doing = fmt::format("get a token for '{}' by this job's identity", *resource);
  const Secret token = secret_in(asked, http.send(asked), "access_token", doing);
  return read_hub_token(token.reveal(), fmt::format("HF_OIDC_RESOURCE ('{}')", *resource));
}

}  // namespace sagebuild
