#include "sagebuild/net/url.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlDeleter>;

std::optional<std::string> part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return std::nullopt;
  std::string result(text);
  curl_free(text);
  return result;
}

}  // namespace

std::optional<std::string> origin_of(const std::string& url) {
  const Url parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const auto scheme = part(parsed, CURLUPART_SCHEME);
  const auto host = part(parsed, CURLUPART_HOST);
  const auto port = part(parsed, CURLUPART_PORT);
  if (!scheme || !host || !port || (*scheme != "https" && *scheme != "http")) return std::nullopt;
  return fmt::format("{}://{}:{}", *scheme, lower(*host), *port);
}

std::optional<std::string> resolved_url(const std::string& base, const std::string& location) {
  const Url url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK) return std::nullopt;
  // Setting a URL over another one resolves it; servers do send blanks in Location.
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK) return std::nullopt;
  char* text = nullptr;
  if (curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) return std::nullopt;
  std::string result(text);
  curl_free(text);
  return result;
}

std::string percent_encoded(std::string_view text, std::string_view keep) {
  constexpr std::string_view kUnreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string result;
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos || keep.find(c) != std::string_view::npos)
      result += c;
    else
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

std::string shown_url(std::string_view url) {
  const auto scheme_end = url.find("://");
  const auto host = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
  // Before the query is cut off: a password may hold a "?".
  const auto at = url.substr(0, url.find('/', host)).rfind('@');
  // "git@host:path" names no password, "user:password@host" lacks its scheme.
  const bool has_user = at != std::string_view::npos && at >= host && (host > 0 || url.find(':') < at);
  const std::string_view rest = url.substr(has_user ? at + 1 : host);
  return std::string(url.substr(0, host)) + std::string(rest.substr(0, rest.find_first_of("?#")));
}

}  // namespace sagebuild
