#pragma once
// When to try again, and how long to wait before it.

#include <chrono>
#include <functional>
#include <optional>
#include <random>

namespace sagebuild {

struct Response;

struct RetryPolicy {
  int attempts = 6;                          // in all; 1 means no retry
  std::chrono::milliseconds first{500};      // doubled with every attempt
  std::chrono::milliseconds longest{16000};  // of our own waits
  // In all attempts of a request together; a server that asks for more gets no further one.
  std::chrono::seconds longest_asked{300};
};

// The doubled wait after attempt number `attempt` (from 1), with jitter: between half of it and all
// of it, so that many clients that failed together do not come back together.
std::chrono::milliseconds backoff(const RetryPolicy& policy, int attempt, std::mt19937& random);

// True for what may well work next time: no connection, a reset or truncated answer, a stall, 408,
// 429 and every 5xx (501 is S3's for a moment, 520 to 524 are Cloudflare's). False for a
// certificate that does not verify, a refused redirect, and every other status.
bool is_transient(const Response& response);

// What the server asked for: Retry-After in seconds or as a date (measured from the server's own
// Date, so a wrong local clock does not matter), or for a 429 the reset time of an exhausted
// RateLimit header (draft-ietf-httpapi-ratelimit-headers).
std::optional<std::chrono::seconds> asked_wait(const Response& response);

}  // namespace sagebuild
