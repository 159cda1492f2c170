#pragma once
// Whether a host answers, before anything is asked of it.

#include <string>

namespace sagebuild {

// Why no connection to `host` can be opened, or nothing. For "http" and "https" it is opened as
// HttpClient does it: through the proxy that the environment names for that host, and with TLS
// verified; for other schemes ("git", "ssh") it is a plain TCP connect. Waits 5 s at most.
std::string connection_problem(const std::string& scheme, const std::string& host,
                               const std::string& port);

}  // namespace sagebuild
