#pragma once
// URLs: parts, comparison of origins, and the form that may be shown.

#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/base/secret.hpp"

namespace sagebuild {

// A URL as libcurl takes it apart. Every address that a user gives is read by this, so that there
// is one opinion of what its host is, and its user info is a secret from there on.
struct Url {
  std::string scheme;  // lower case
  std::string host;    // lower case, an IPv6 address without its brackets
  std::string port;    // as given, else the scheme's own (http, https, ssh, git); may be empty
  std::string user;    // decoded
  Secret password;     // decoded
  std::string plain;   // the whole without user and password
  std::string ssh;     // the whole without the password: ssh needs the login name
};
// "scheme://host..." of any scheme; nothing for all else: paths, "host/x", "git@host:path", a
// password that should have been percent-encoded.
std::optional<Url> parse_url(const std::string& text);

// What an http(s) server is told of a URL's user info, as Basic authorization. A user without a
// password is how tokens are handed over, so it is the secret. Both empty: there is none.
struct Login {
  std::string user;
  Secret secret;
};
Login login_of(Url url);

// Scheme, host and port in one comparable text: "https://huggingface.co:443". Two URLs with equal
// origins may share a credential (RFC 6454). Nothing if the text is no http or https URL.
std::optional<std::string> origin_of(const std::string& url);

// `location` as a server gave it (absolute or relative) seen from `base`. Nothing if it cannot be
// read.
std::optional<std::string> resolved_url(const std::string& base, const std::string& location);

// RFC 3986: everything but letters, digits and "-._~" becomes %XX. `keep` names further characters
// to leave alone.
std::string percent_encoded(std::string_view text, std::string_view keep = "");

// "a b" of "a%20b"; what is no escape stays.
std::string percent_decoded(std::string_view text);

// For logs and messages: without user, password, query and fragment, because the query of a
// presigned URL is a credential.
std::string shown_url(std::string_view url);

}  // namespace sagebuild
