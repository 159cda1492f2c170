#pragma once
// HTTP over libcurl's multi interface. One client is one connection pool; it belongs to one thread.
// TLS is always verified, there is no switch against it. An HTTP status and a broken transfer are
// values of Response; only a local file that cannot be read or written throws (Error{failed}), and
// whatever a callback throws comes out of send.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/net/retry.hpp"

namespace sagebuild {

// Header fields in order; names compare without case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}

  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  void clear() { fields_.clear(); }
  std::optional<std::string> find(std::string_view name) const;  // the first
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct FileRange {
  std::filesystem::path path;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // a file that ends earlier fails the transfer
};

// Sent to the origin of Request::url only, whatever redirects say.
struct Credentials {
  enum class Scheme { none, bearer, basic };
  Scheme scheme = Scheme::none;
  std::string user;                // basic
  const Secret* secret = nullptr;  // outlives the request
};

enum class Redirects {
  none,         // a 3xx is the response
  same_origin,  // with method, body and credentials; one to another origin is a failure
  anywhere,     // GET and HEAD: other origins too, without the credentials
};
// In every mode: https to http is a failure, so are 301 to 303 for a method with a body, and more
// than 10 in a row.

struct Request {
  std::string method = "GET";
  std::string url;
  Headers headers = {};  // no credentials here
  Credentials credentials = {};
  // Sent with its exact length, never chunked.
  std::variant<std::monostate, std::string, FileRange> body = {};
  Redirects redirects = Redirects::none;
  bool keep_query = false;  // a redirect that changes the query is a failure
  // At most once: no retry, and a new connection, because libcurl sends a request again by itself
  // when a reused connection closes before the answer.
  bool once = false;
  std::function<bool(const Response&)> also_transient = nullptr;  // retry these too
  // Where the body of a 2xx answer goes: a file (made anew by each attempt), a function (then no
  // retry once it was given bytes), or neither: Response::body.
  std::filesystem::path to_file = {};
  std::function<void(std::string_view)> sink = nullptr;
  // Most bytes of a 2xx answer's body, wherever it goes; not set: HttpSettings::body_limit. Other
  // answers are held to that one, too.
  std::optional<std::uint64_t> body_limit = std::nullopt;
  // Given its answer as soon as it is there, while others of a send_all may be on their way.
  std::function<void(const Response&)> answered = nullptr;
  // Bytes of the body, sent or received, and how many there will be (0: unknown). Starts again from
  // 0 with each attempt.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = nullptr;
};

enum class Failure {
  none,
  connect,    // no such host, refused, unreachable, proxy
  tls,        // certificate or host name do not verify
  stalled,    // not a byte either way, or next to none, see HttpSettings::stall
  broken,     // reset, truncated, not HTTP
  redirect,   // refused, see Redirects
  oversized,  // an answer exceeds Request::body_limit or HttpSettings::body_limit
};

struct Response {
  int status = 0;  // 0: no answer at all
  Failure failure = Failure::none;
  std::string reason;  // of the failure
  Headers headers;
  std::string body;
  std::string url;   // of the last hop
  int attempts = 1;  // that were made, with the last one

  bool ok() const { return failure == Failure::none && status >= 200 && status < 300; }
};

struct HttpSettings {
  std::string user_agent = "sagebuild";
  std::filesystem::path ca_file;    // empty: the system's
  std::filesystem::path ca_folder;  // empty: the system's
  std::chrono::milliseconds connect_timeout{20000};
  // The Hub may think for a minute before it answers a commit, so this is longer.
  std::chrono::milliseconds stall{90000};
  // Bytes per second. Below it a transfer counts as standing still: each byte buys it this part of
  // a second, so one that goes on faster never ends for it, whatever pauses it makes within
  // `stall`.
  std::uint64_t slowest = 1000;
  std::size_t body_limit = std::size_t{32} << 20;
  RetryPolicy retry;
  // Called several times a second. What it throws ends all transfers and comes out of send: pass
  // throw_if_interrupted.
  std::function<void()> tick = nullptr;
  // Before each wait for a retry.
  std::function<void(const Request&, const Response&, std::chrono::milliseconds wait)> on_retry =
      nullptr;
  // Every answer, also those that are tried again.
  std::function<void(const Response&)> on_answer = nullptr;
  // One line per answer: "PUT https://host/path -> 200 (0.4s)". No query, no header, no body.
  std::function<void(std::string_view)> log = nullptr;
};

// ca_file and ca_folder from SSL_CERT_FILE, CURL_CA_BUNDLE or REQUESTS_CA_BUNDLE, and SSL_CERT_DIR:
// libcurl with a default bundle (Debian's) reads none of them. Proxies are libcurl's own business:
// https_proxy, HTTPS_PROXY, ALL_PROXY, NO_PROXY, and http_proxy in lower case only.
HttpSettings http_settings_from_environment();

class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Response send(const Request& request);
  // All of them, at most `parallel` at a time; the answers stand in the order of the requests.
  std::vector<Response> send_all(std::span<const Request> requests, unsigned parallel);

  const HttpSettings& settings() const { return settings_; }

 private:
  class Loop;
  struct Multi;
  HttpSettings settings_;
  std::mt19937 random_;
  std::unique_ptr<Multi> multi_;
};

// "PUT https://host/path: 503 Service Unavailable" or "...: connection refused": for the causes of
// an Error.
std::string described(const Request& request, const Response& response);

}  // namespace sagebuild
