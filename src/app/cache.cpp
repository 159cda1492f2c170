#include "sagebuild/app/cache.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

// "%40" in a password is an "@".
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto code = text[at] == '%' && at + 2 < text.size() ? to_integer(text.substr(at + 1, 2), 16) : std::nullopt;
    out += code ? static_cast<char>(*code) : text[at];
    if (code) at += 2;
  }
  return out;
}

RemoteCacheSettings remote_of(CacheChoice& choice) {
  RemoteCacheSettings remote;
  remote.url = choice.remote;
  remote.secret = std::move(choice.token);
  remote.read_only = choice.remote_read_only;
  const auto host = choice.remote.find("://") + 3;
  const auto at = choice.remote.substr(0, choice.remote.find('/', host)).rfind('@');
  if (at != std::string::npos) {
    const std::string_view login = std::string_view(choice.remote).substr(host, at - host);
    const auto colon = login.find(':');
    remote.user = percent_decoded(login.substr(0, colon));
    remote.secret = Secret(colon == std::string_view::npos ? "" : percent_decoded(login.substr(colon + 1)));
    remote.url = choice.remote.substr(0, host) + choice.remote.substr(at + 1);
  }
  if (!origin_of(remote.url)) {
    throw Error(ErrorKind::usage, fmt::format("cannot use '{}' as remote cache", shown_url(choice.remote)),
                {"it is no http or https URL"}, "such as https://cache.example/sagebuild");
  }
  return remote;
}

}  // namespace

std::filesystem::path action_cache_folder() { return cache_folder() / "actions"; }

std::unique_ptr<ActionCache> open_build_cache(CacheChoice choice, Reporter& report) {
  if (choice.off) return no_cache();
  CacheSettings settings{action_cache_folder(), choice.limit};
  settings.explain = choice.explain;
  if (!choice.remote.empty()) settings.remote = remote_of(choice);
  return open_cache(std::move(settings), report);
}

}  // namespace sagebuild
