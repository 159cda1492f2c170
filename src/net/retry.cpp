#include "sagebuild/net/retry.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <ctime>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/http.hpp"

namespace sagebuild {
namespace {

// RateLimit: "api";r=0;t=55. On a 429 it counts only with r=0: the Hub sends the header on every
// answer, and its hourly quota on commits answers 429 while r is still above 0.
std::optional<std::chrono::seconds> rate_limit_reset(const Response& response) {
  const auto field = response.headers.find("RateLimit");
  if (response.status != 429 || !field) return std::nullopt;
  std::optional<long long> remaining, reset;
  for (std::string_view item : split(*field, ";, ")) {
    if (take_prefix(item, "r="))
      remaining = to_integer(item);
    else if (take_prefix(item, "t="))
      reset = to_integer(item);
  }
  if (remaining != 0 || !reset || *reset < 0) return std::nullopt;
  return std::chrono::seconds(*reset);
}

}  // namespace

std::chrono::milliseconds backoff(const RetryPolicy& policy, int attempt, std::mt19937& random) {
  const int doublings = std::clamp(attempt - 1, 0, 20);
  const auto whole = std::min(policy.longest, policy.first * (1 << doublings)).count();
  return std::chrono::milliseconds(
      std::uniform_int_distribution<long long>(whole / 2, std::max(whole, whole / 2))(random));
}

bool is_transient(const Response& response) {
  switch (response.failure) {
    case Failure::connect:
    case Failure::stalled:
    case Failure::broken:
      return true;
    case Failure::tls:
    case Failure::redirect:
    case Failure::oversized:
      return false;
    case Failure::none:
      break;
  }
  return response.status == 408 || response.status == 429 || response.status >= 500;
}

std::optional<std::chrono::seconds> asked_wait(const Response& response) {
  const auto field = response.headers.find("Retry-After");
  if (!field) return rate_limit_reset(response);
  if (const auto seconds = to_integer(trimmed(*field)))
    return std::chrono::seconds(std::max(0LL, *seconds));
  const std::time_t until = curl_getdate(field->c_str(), nullptr);
  if (until < 0) return rate_limit_reset(response);
  const auto date = response.headers.find("Date");
  std::time_t now = date ? curl_getdate(date->c_str(), nullptr) : -1;
  if (now < 0) now = std::time(nullptr);
  return std::chrono::seconds(std::max<std::time_t>(0, until - now));
}

}  // namespace sagebuild
