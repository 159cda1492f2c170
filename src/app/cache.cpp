#include "sagebuild/app/cache.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/trust.hpp"

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

// Refused, not left out: a kept environment or toolkit is run, so there is no part of the folder to go on with; and a
// warning would be read after the wheel is published. An entry's digest shows damage, not intent: whoever can write an
// entry can write the file that it names, too.
void require_own_cache(bool shared) {
  constexpr int kDepth = 3;  // actions/ac/4f, envs/NAME/bin
  const auto fault = shared ? std::nullopt : others_can_write(cache_folder(), kDepth);
  if (!fault) return;
  throw Error(ErrorKind::environment, fmt::format("cannot trust the cache folder '{}'", cache_folder().string()),
              {*fault, "whoever can write there decides what is linked into wheels and which programs are run"},
              "use a folder of your own (SAGEBUILD_CACHE_DIR), or take the right to write from others and run "
              "`sagebuild cache clear`; if they are trusted, pass --allow-shared-cache or set "
              "SAGEBUILD_ALLOW_SHARED_CACHE=1");
}

std::unique_ptr<ActionCache> open_build_cache(CacheChoice choice, Reporter& report) {
  if (choice.off) return no_cache();
  CacheSettings settings{action_cache_folder(), choice.limit};
  settings.explain = choice.explain;
  if (!choice.remote.empty()) settings.remote = remote_of(choice);
  return open_cache(std::move(settings), report);
}

}  // namespace sagebuild
