#include "sagebuild/app/cache.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/trust.hpp"

namespace sagebuild {
namespace {

RemoteCacheSettings remote_of(CacheChoice& choice) {
  auto url = parse_url(choice.remote);
  if (!url || !origin_of(url->plain)) {
    throw Error(ErrorKind::usage,
                fmt::format("cannot use '{}' as remote cache", shown_url(choice.remote)),
                {"it is no http or https URL"}, "such as https://cache.example/sagebuild");
  }
  RemoteCacheSettings remote;
  remote.url = url->plain;
  Login login = login_of(std::move(*url));
  remote.user = std::move(login.user);
  remote.secret = login.secret.empty() ? std::move(choice.token) : std::move(login.secret);
  remote.read_only = choice.remote_read_only;
  return remote;
}

}  // namespace

std::filesystem::path action_cache_folder() { return cache_folder() / "actions"; }

// Refused, not left out: a kept environment or toolkit is run, so there is no part of the folder to
// go on with; and a warning would be read after the wheel is published. An entry's digest shows
// damage, not intent: whoever can write an entry can write the file that it names, too.
void require_own_cache(bool shared) {
  constexpr int kDepth = 3;  // actions/ac/4f, envs/NAME/bin
  const auto fault = shared ? std::nullopt : others_can_write(cache_folder(), kDepth);
  if (!fault) return;
  throw Error(
      ErrorKind::environment,
      fmt::format("cannot trust the cache folder '{}'", cache_folder().string()),
      {*fault,
       "whoever can write there decides what is linked into wheels and which programs are run"},
      "use a folder of your own (SAGEBUILD_CACHE_DIR), or take the right to write from others and "
      "run "
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
