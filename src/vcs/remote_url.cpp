#include "sagebuild/vcs/remote_url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr std::array<std::string_view, 4> kSchemes = {"https", "http", "git", "ssh"};

std::string percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto value =
        text[i] == '%' && i + 2 < text.size() + 0U ? to_integer(text.substr(i + 1, 2), 16) : std::nullopt;
    result += value ? static_cast<char>(*value) : text[i];
    if (value) i += 2;
  }
  return result;
}

// "user@host:path", where a colon comes before the first slash; "./a:b" and "C:/x" are paths.
bool is_scp_like(std::string_view text) {
  const auto colon = text.find(':');
  const auto at = text.find('@');
  return colon != std::string_view::npos && at < colon && at > 0 && text.find('/') > colon && colon + 1 < text.size();
}

}  // namespace

std::optional<RemoteUrl> parse_remote_url(std::string_view text) {
  take_prefix(text, "git+");
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) {
    if (!is_scp_like(text)) return std::nullopt;
    return RemoteUrl{"ssh", std::string(text), std::string(text.substr(0, text.find('@'))), Secret()};
  }
  const std::string scheme = lower(text.substr(0, scheme_end));
  if (std::ranges::find(kSchemes, scheme) == kSchemes.end()) return std::nullopt;

  std::string_view rest = text.substr(scheme_end + 3);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const auto at = authority.rfind('@');
  if (at == std::string_view::npos) return RemoteUrl{scheme, scheme + "://" + std::string(rest), "", Secret()};

  const std::string_view user_info = authority.substr(0, at);
  rest.remove_prefix(at + 1);
  const auto colon = user_info.find(':');
  const std::string user = percent_decoded(user_info.substr(0, colon));
  const std::string password = colon == std::string_view::npos ? "" : percent_decoded(user_info.substr(colon + 1));
  if (scheme == "ssh") return RemoteUrl{scheme, fmt::format("ssh://{}@{}", user, rest), user, Secret(password)};
  // A lone user in an http URL is how tokens are handed over, so it counts as the secret.
  const bool token_alone = password.empty();
  return RemoteUrl{scheme, scheme + "://" + std::string(rest), token_alone ? "x-access-token" : user,
                   Secret(token_alone ? user : password)};
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
      throw Error(ErrorKind::failed, fmt::format("the submodule address '{}' climbs above '{}'", relative, base));
    }
    result.resize(slash == std::string::npos ? root : std::max(slash, root));
  }
  return result + (result.ends_with(':') ? "" : "/") + std::string(rest);
}

}  // namespace sagebuild
