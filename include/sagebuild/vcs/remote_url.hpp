#pragma once
// The address of a remote repository, taken apart so that its password never meets a message or a
// file name.

#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/base/secret.hpp"

namespace sagebuild {

struct RemoteUrl {
  std::string scheme;  // "https", "http", "git", "ssh"
  // What libgit2 gets and what may be shown: without password, for http(s) without user too
  std::string url;
  std::string user;  // decoded; for ssh the login name, may be empty
  Secret password;   // decoded; of "https://TOKEN@host" the token
  std::string host;
  std::string port;
};

// Reads "scheme://...", pip's "git+scheme://..." and "user@host:path" (ssh). Nothing for everything
// else (paths, file://).
std::optional<RemoteUrl> parse_remote_url(std::string_view text);

// The path of "file:///path" (also percent-encoded), or nothing if `text` is not a file URL.
// Throws Error{usage} for a file URL with a host.
std::optional<std::string> file_url_path(std::string_view text);

// What .gitmodules means with "../other.git": relative to the address of the repository it stands
// in. An address that does not begin with "./" or "../" is given back as it is. Throws
// Error{failed} if it climbs above the host or root.
std::string resolve_relative_url(std::string_view base, std::string_view relative);

}  // namespace sagebuild
