// Turns the Hub's refusals into errors that say what to do.

#include <fmt/format.h>

#include <algorithm>

#include "hub/shape.hpp"
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

std::string text_at(const json& value, const char* key) {
  const auto found = value.is_object() ? value.find(key) : value.end();
  return value.is_object() && found != value.end() && found->is_string() ? found->get<std::string>()
                                                                         : "";
}

// {"error": text or [text]}, {"errors": [{"message": text}]}, {"message": text}
std::string message_in(const json& body) {
  if (std::string text = text_at(body, "error"); !text.empty()) return text;
  for (const char* key : {"error", "errors"}) {
    if (!body.is_object() || !body.contains(key) || !body[key].is_array() || body[key].empty())
      continue;
    const json& first = body[key][0];
    if (first.is_string()) return first.get<std::string>();
    if (std::string text = text_at(first, "message"); !text.empty()) return text;
  }
  return text_at(body, "message");
}

std::string request_id(const Response& response) {
  for (const char* name : {"X-Request-Id", "X-Amzn-Trace-Id", "X-Amz-Cf-Id", "x-amz-request-id"}) {
    if (const auto id = response.headers.find(name)) return *id;
  }
  return {};
}

bool is_gated(const Response& response) {
  return response.headers.find("X-Error-Code") == "GatedRepo";
}

std::string hint_for_status(const Response& response) {
  switch (response.status) {
    case 401:
      return "log in with `hf auth login`, or set HF_TOKEN to a token with write access";
    case 402:
      return "the account needs a payment method or a larger plan";
    case 403:
      return "use a token with write access to this repository";
    case 404:
      return "check the name, or add --create (of build: --upload-create)";
    case 413:
      return "the Hub or a proxy on the way takes no request of this size";
    case 429:
      return "wait for the quota to fill up again, then run the same command: what is already "
             "there is not sent twice";
    case 511:
      return "this network wants you to log in first: open any page in a browser";
    default:
      return "";
  }
}

std::string hint_for(const Response& response) {
  if (response.failure == Failure::tls) {
    const std::string reason = lower(response.reason);
    if (reason.find("expired") != std::string::npos)
      return "check this machine's date; if it is right, whoever runs the host must renew its "
             "certificate";
    if (reason.find("not yet valid") != std::string::npos) return "check this machine's date";
    return "set SSL_CERT_FILE to the CA bundle of your network";
  }
  if (response.failure == Failure::redirect) return "check HF_ENDPOINT";
  if (response.ok())
    return is_web_page(response)
               ? "something on the way answers in place of the Hub: open a page in a browser (a "
                 "network may want you to log in first), check HF_ENDPOINT and the proxy"
               : "run the same command again later; if HF_ENDPOINT names a mirror, try without it";
  if (is_gated(response))
    return "ask for access on the repository's page on the Hub, then run the same command again";
  if (is_about_repository(response))
    return "the Hub has disabled this repository; its page on the Hub says why";
  if (std::string hint = hint_for_status(response); !hint.empty()) return hint;
  return is_transient(response)
             ? "run the same command again: what is already there is not sent twice"
             : "";
}

}  // namespace

std::string server_message(const Response& response) {
  const ParsedJson body = parse_json(response.body);
  std::string text = body.value ? message_in(*body.value) : "";
  if (text.empty()) {
    const std::string code = between(response.body, "<Code>", "</Code>");
    const std::string words = between(response.body, "<Message>", "</Message>");
    text = code.empty() || words.empty() ? code + words : code + ": " + words;
  }
  if (text.empty()) text = response.headers.find("X-Error-Message").value_or("");
  std::ranges::replace(text, '\n', ' ');  // it must not look like lines of ours
  if (text.size() > kLongestMessage) text.resize(kLongestMessage);
  return text;
}

Error hub_error(std::string_view doing, const Request& request, const Response& response,
                const std::string& fault) {
  const bool network = response.failure != Failure::none || is_transient(response) || response.ok();
  std::vector<std::string> causes = {described(request, response)};
  if (response.attempts > 1) causes[0] += fmt::format(" (after {} attempts)", response.attempts);
  if (!fault.empty()) causes.push_back(fault);
  if (const std::string message = server_message(response);
      !message.empty() && (!response.ok() || fault.empty())) {
    causes.push_back(fmt::format("the server says: {}", message));
  }
  if (const std::string id = request_id(response); !id.empty())
    causes.push_back(fmt::format("request id {}", id));
  return Error(network ? ErrorKind::network : ErrorKind::failed, fmt::format("cannot {}", doing),
               std::move(causes), hint_for(response));
}

bool is_about_repository(const Response& response) {
  return is_gated(response) ||
         lower(server_message(response)).find("is disabled") != std::string::npos;
}

Error no_repository(const RepoId& repo) {
  return Error(
      ErrorKind::failed,
      fmt::format("there is no repository '{}', or this token may not see it", shown(repo)), {},
      "check the name, or make it with --create (and --private; of build: --upload-create)");
}

}  // namespace sagebuild
