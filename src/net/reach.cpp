#include "sagebuild/net/reach.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>
#include <new>

#include "sagebuild/base/error.hpp"
#include "sagebuild/net/http.hpp"

namespace sagebuild {
namespace {

constexpr long kConnectLimitMs = 5000;

}  // namespace

std::string connection_problem(const std::string& scheme, const std::string& host,
                               const std::string& port) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy(curl_easy_init(),
                                                                 curl_easy_cleanup);
  if (!easy) throw std::bad_alloc();
  const bool is_http = scheme == "http" || scheme == "https";
  const bool is_v6 = host.find(':') != std::string::npos;
  const std::string place = fmt::format("{}:{}", is_v6 ? "[" + host + "]" : host, port);
  const std::string url = fmt::format("{}://{}/", is_http ? scheme : "http", place);
  const HttpSettings settings = http_settings_from_environment();
  char reason[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectLimitMs);
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, static_cast<char*>(reason));
  if (!is_http) curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  if (!settings.ca_file.empty())
    curl_easy_setopt(easy.get(), CURLOPT_CAINFO, settings.ca_file.c_str());
  if (!settings.ca_folder.empty())
    curl_easy_setopt(easy.get(), CURLOPT_CAPATH, settings.ca_folder.c_str());
  const CURLcode code = curl_easy_perform(easy.get());
  if (code == CURLE_OK) return "";
  // For a refused connection the reason is "Couldn't connect to server" since libcurl 7.87.
  long number = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_OS_ERRNO, &number);
  const std::string why = code == CURLE_COULDNT_CONNECT && number != 0
                              ? fmt::format(" ({})", errno_text(static_cast<int>(number)))
                              : "";
  return fmt::format(
      "'{}' cannot be reached: {}{}", place,
      reason[0] != '\0' ? static_cast<const char*>(reason) : curl_easy_strerror(code), why);
}

}  // namespace sagebuild
