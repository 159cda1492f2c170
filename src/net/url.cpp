#include "sagebuild/net/url.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

struct HandleDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Handle = std::unique_ptr<CURLU, HandleDeleter>;

std::optional<std::string> part(const Handle& url, CURLUPart which, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return std::nullopt;
  std::string result(text);
  curl_free(text);
  return result;
}

// libcurl knows those of the schemes that it speaks, and need not have been built with all.
std::string own_port(std::string_view scheme) {
  if (scheme == "https") return "443";
  if (scheme == "http") return "80";
  if (scheme == "ssh") return "22";
  if (scheme == "git") return "9418";
  return scheme.starts_with("socks") ? "1080" : "";
}

}  // namespace

std::optional<Url> parse_url(const std::string& text) {
  // libcurl is content with "c:/x".
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string::npos || text.find_first_of(":/@ ") != scheme_end)
    return std::nullopt;
  const Handle handle(curl_url());
  const unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE | CURLU_PATH_AS_IS;
  if (curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), flags) != CURLUE_OK)
    return std::nullopt;
  Url url;
  url.scheme = lower(part(handle, CURLUPART_SCHEME, 0).value_or(""));
  url.host = lower(part(handle, CURLUPART_HOST, 0).value_or(""));
  if (url.host.starts_with('[') && url.host.ends_with(']'))
    url.host = url.host.substr(1, url.host.size() - 2);
  url.port = part(handle, CURLUPART_PORT, 0).value_or(own_port(url.scheme));
  url.user = part(handle, CURLUPART_USER, CURLU_URLDECODE).value_or("");
  url.password = Secret(part(handle, CURLUPART_PASSWORD, CURLU_URLDECODE).value_or(""));
  curl_url_set(handle.get(), CURLUPART_PASSWORD, nullptr, 0);
  url.ssh = part(handle, CURLUPART_URL, 0).value_or("");
  curl_url_set(handle.get(), CURLUPART_USER, nullptr, 0);
  url.plain = part(handle, CURLUPART_URL, 0).value_or("");
  if (url.plain.empty()) return std::nullopt;
  return url;
}

std::optional<std::string> origin_of(const std::string& url) {
  const auto parsed = parse_url(url);
  if (!parsed || (parsed->scheme != "https" && parsed->scheme != "http")) return std::nullopt;
  const bool is_v6 = parsed->host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}", parsed->scheme, is_v6 ? "[" + parsed->host + "]" : parsed->host,
                     parsed->port);
}

std::optional<std::string> resolved_url(const std::string& base, const std::string& location) {
  const Handle url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK) return std::nullopt;
  // Setting a URL over another one resolves it; servers do send blanks in Location.
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK)
    return std::nullopt;
  return part(url, CURLUPART_URL, 0);
}

std::string percent_encoded(std::string_view text, std::string_view keep) {
  constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string result;
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos || keep.find(c) != std::string_view::npos)
      result += c;
    else
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

std::string percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto value = text[i] == '%' && i + 2 < text.size() ? to_integer(text.substr(i + 1, 2), 16)
                                                             : std::nullopt;
    result += value ? static_cast<char>(*value) : text[i];
    if (value) i += 2;
  }
  return result;
}

Login login_of(Url url) {
  if (!url.user.empty() && url.password.empty())
    return {"x-access-token", Secret(std::move(url.user))};
  return {std::move(url.user), std::move(url.password)};
}

std::string shown_url(std::string_view url) {
  const auto scheme_end = url.find("://");
  const bool has_scheme = scheme_end != std::string_view::npos;
  const std::string_view scheme = url.substr(0, has_scheme ? scheme_end + 3 : 0);
  std::string_view rest = url.substr(scheme.size());
  rest.remove_prefix(user_info_length(rest, has_scheme));
  return fmt::format("{}{}", scheme, rest.substr(0, rest.find_first_of("?#")));
}

}  // namespace sagebuild
