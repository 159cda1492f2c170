#include "sagebuild/net/reach.hpp"

#include <fmt/format.h>

#include "sagebuild/env/doctor.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/vcs/remote_url.hpp"

namespace sagebuild {

std::string network_reach(const std::string& url) {
  const auto remote = parse_remote_url(url);
  if (!remote) return fmt::format("'{}' names no host", shown_url(url));
  return connection_problem(remote->scheme, remote->host, remote->port);
}

}  // namespace sagebuild
