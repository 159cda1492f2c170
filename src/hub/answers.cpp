// Turns the Hub's refusals into errors that say what to do.

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/api.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr std::size_t kLongestMessage = 500;

std::string between(const std::string& text, const std::string& open, const std::string& close) {
  const auto begin = text.find(open);
  if (begin == std::string::npos) return {};
  const auto end = text.find(close, begin);
  if (end == std::string::npos) return {};
  return text.substr(begin + open.size(), end - begin - open.size());
}

std::string message_in(const json& body) {
  if (!body.is_object()) return {};
  if (body.contains("error")) {
    const json& error = body["error"];
    if (error.is_string()) return error.get<std::string>();
    if (error.is_array() && !error.empty() && error[0].is_string())
      return error[0].get<std::string>();
  }
  if (body.contains("errors") && body["errors"].is_array() && !body["errors"].empty()) {
    const json& first = body["errors"][0];
    if (first.is_object()) return first.value("message", "");
  }
  return body.contains("message") && body["message"].is_string()
             ? body["message"].get<std::string>()
             : "";
}

std::string request_id(const Response& response) {
  for (const char* name : {"X-Request-Id", "X-Amzn-Trace-Id", "X-Amz-Cf-Id", "x-amz-request-id"}) {
    if (const auto id = response.headers.find(name)) return *id;
  }
  return {};
}

std::string hint_for(const Response& response) {
  switch (response.status) {
    case 401:
      return "log in with `hf auth login`, or set HF_TOKEN to a token with write access";
    case 402:
      return "the account needs a payment method or a larger plan";
    case 403:
      return "use a token with write access to this repository";
    case 404:
      return "check the name, or add --create";
    case 413:
      return "the Hub or a proxy on the way takes no request of this size";
    case 429:
      return "wait for the quota to fill up again, then run the same command: what is already "
             "there is not sent twice";
    default:
      break;
  }
  if (response.failure == Failure::tls) return "set SSL_CERT_FILE to the CA bundle of your network";
  if (response.failure == Failure::redirect) return "check HF_ENDPOINT";
  return is_transient(response)
             ? "run the same command again: what is already there is not sent twice"
             : "";
}

}  // namespace

std::string server_message(const Response& response) {
  std::string text = message_in(json::parse(response.body, nullptr, false));
  if (text.empty()) {
    const std::string code = between(response.body, "<Code>", "</Code>");
    const std::string words = between(response.body, "<Message>", "</Message>");
    text = code.empty() || words.empty() ? code + words : code + ": " + words;
  }
  if (text.empty()) text = response.headers.find("X-Error-Message").value_or("");
  if (text.size() > kLongestMessage) text.resize(kLongestMessage);
  return text;
}

Error hub_error(std::string_view doing, const Request& request, const Response& response) {
  const bool network = response.failure != Failure::none || is_transient(response);
  std::vector<std::string> causes = {described(request, response)};
  if (response.attempts > 1) causes[0] += fmt::format(" (after {} attempts)", response.attempts);
  if (const std::string message = server_message(response); !message.empty()) {
    causes.push_back(fmt::format("the server says: {}", message));
  }
  if (const std::string id = request_id(response); !id.empty())
    causes.push_back(fmt::format("request id {}", id));
  return Error(network ? ErrorKind::network : ErrorKind::failed, fmt::format("cannot {}", doing),
               std::move(causes), hint_for(response));
}

Error no_repository(const RepoId& repo) {
  return Error(
      ErrorKind::failed,
      fmt::format("there is no repository '{}', or this token may not see it", shown(repo)), {},
      "check the name, or make it with --create (and --private)");
}

}  // namespace sagebuild
