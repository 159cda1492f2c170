#pragma once
// URLs: parts, comparison of origins, and the form that may be shown.

#include <optional>
#include <string>
#include <string_view>

namespace sagebuild {

// Scheme, host and port in one comparable text: "https://huggingface.co:443". Two URLs with equal origins may share a
// credential (RFC 6454). Nothing if the text is no http or https URL.
std::optional<std::string> origin_of(const std::string& url);

// `location` as a server gave it (absolute or relative) seen from `base`. Nothing if it cannot be read.
std::optional<std::string> resolved_url(const std::string& base, const std::string& location);

// RFC 3986: everything but letters, digits and "-._~" becomes %XX. `keep` names further characters to leave alone.
std::string percent_encoded(std::string_view text, std::string_view keep = "");

// For logs and messages: without user, password, query and fragment, because the query of a presigned URL is a
// credential.
std::string shown_url(std::string_view url);

}  // namespace sagebuild
