// Whether a host answers, for the doctor. A plain TCP connect: what it says is "the way is open",
// no more; transfers are the business of net and vcs.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/env/doctor.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/vcs/remote_url.hpp"

namespace sagebuild {
namespace {

constexpr int kConnectLimitMs = 5000;

struct Place {
  std::string host;
  std::string port;
};

// Of a URL (a proxy's may have any scheme), or of "git@host:path".
std::optional<Place> place_of(const std::string& address) {
  if (auto url = parse_url(address); url && !url->host.empty())
    return Place{std::move(url->host), url->port.empty() ? "80" : std::move(url->port)};
  if (auto remote = parse_remote_url(address))
    return Place{std::move(remote->host), std::move(remote->port)};
  return std::nullopt;
}

std::optional<std::string> proxy_for(std::string_view url) {
  if (!url.starts_with("http")) return std::nullopt;
  const bool tls = url.starts_with("https:");
  for (const char* name : {tls ? "HTTPS_PROXY" : "HTTP_PROXY", tls ? "https_proxy" : "http_proxy",
                           "ALL_PROXY", "all_proxy"}) {
    // curl reads HTTP_PROXY in lower case only: a CGI server would set the other from a request's
    // header.
    if (std::string_view(name) == "HTTP_PROXY") continue;
    if (const auto value = environment_value(name)) {
      return value->find("://") == std::string::npos ? "http://" + *value : *value;
    }
  }
  return std::nullopt;
}

// 0, or the errno of one address.
int connect_error(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                          address.ai_protocol);
  if (fd < 0) return errno;
  const ScopeExit close_it([fd] { ::close(fd); });
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting{fd, POLLOUT, 0};
  const int ready = ::poll(&waiting, 1, kConnectLimitMs);
  if (ready == 0) return ETIMEDOUT;
  if (ready < 0) return errno;
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

std::string tcp_reach(const std::string& url) {
  const auto proxy = proxy_for(url);
  const auto place = place_of(proxy ? *proxy : url);
  if (!place) return fmt::format("'{}' names no host", shown_url(url));
  const std::string name =
      fmt::format("{}'{}:{}'", proxy ? "the proxy " : "", place->host, place->port);

  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int code = ::getaddrinfo(place->host.c_str(), place->port.c_str(), &wanted, &list);
      code != 0) {
    return fmt::format("{} cannot be found: {}", name, ::gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  int error = 0;
  for (const addrinfo* address = list; address != nullptr; address = address->ai_next) {
    error = connect_error(*address);
    if (error == 0) return "";
  }
  return fmt::format("{} cannot be reached: {}", name, errno_text(error));
}

}  // namespace sagebuild
