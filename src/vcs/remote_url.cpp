#include "sagebuild/vcs/remote_url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"

namespace sagebuild {
namespace {

constexpr std::array<std::string_view, 4> kSchemes = {"https", "http", "git", "ssh"};

// "user@host:path", where a colon comes before the first slash; "./a:b" and "C:/x" are paths.
bool is_scp_like(std::string_view text) {
  const auto colon = text.find(':');
  const auto at = text.find('@');
  return colon != std::string_view::npos && at < colon && at > 0 && text.find('/') > colon &&
         colon + 1 < text.size();
}

}  // namespace

std::optional<RemoteUrl> parse_remote_url(std::string_view text) {
  take_prefix(text, "git+");
  if (text.find("://") == std::string_view::npos) {
    if (!is_scp_like(text)) return std::nullopt;
    const auto at = text.find('@');
    return RemoteUrl{"ssh",
                     std::string(text),
                     std::string(text.substr(0, at)),
                     Secret(),
                     std::string(text.substr(at + 1, text.find(':') - at - 1)),
                     "22"};
  }
  auto url = parse_url(std::string(text));
  if (!url || std::ranges::find(kSchemes, url->scheme) == kSchemes.end()) return std::nullopt;
  RemoteUrl remote{url->scheme, url->plain, url->user, Secret(), url->host, url->port};
  if (remote.scheme == "ssh") {
    remote.url = url->ssh;
    remote.password = std::move(url->password);
  } else {
    Login login = login_of(std::move(*url));
    remote.user = std::move(login.user);
    remote.password = std::move(login.secret);
  }
  return remote;
}

std::optional<std::string> file_url_path(std::string_view text) {
  take_prefix(text, "git+");
  if (!take_prefix(text, "file://")) return std::nullopt;
  take_prefix(text, "localhost");
  if (!text.starts_with('/')) {
    throw Error(ErrorKind::usage, fmt::format("cannot read the address 'file://{}'", text),
                {"a file URL names no host"}, fmt::format("write file:///{}", text));
  }
  return percent_decoded(text);
}

std::string resolve_relative_url(std::string_view base, std::string_view relative) {
  if (!relative.starts_with("./") && !relative.starts_with("../")) return std::string(relative);
  const auto scheme_end = base.find("://");
  // What no ".." may take away: "https://", or "user@host:".
  const std::size_t root = scheme_end != std::string_view::npos ? scheme_end + 3
                           : is_scp_like(base)                  ? base.find(':') + 1
                                                                : 0;
  std::string result(base);
  while (result.size() > root && result.ends_with('/')) result.pop_back();
  std::string_view rest = relative;
  while (true) {
    if (take_prefix(rest, "./")) continue;
    if (!take_prefix(rest, "../")) break;
    const auto slash = result.rfind('/');
    const bool has_host = scheme_end != std::string_view::npos;
    if (result.size() <= root || (has_host && slash < root)) {
      throw Error(ErrorKind::failed,
                  fmt::format("the submodule address '{}' climbs above '{}'", relative, base));
    }
    result.resize(slash == std::string::npos ? root : std::max(slash, root));
  }
  return result + (result.ends_with(':') ? "" : "/") + std::string(rest);
}

}  // namespace sagebuild
