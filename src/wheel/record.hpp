#pragma once
// Lines of RECORD. Private to this folder.

#include <string>
#include <string_view>

namespace sagebuild {

// A line of RECORD for a file of that content, with its newline.
std::string record_line(const std::string& name, std::string_view content);
// The same where hash (URL-safe base64) and size are known; both empty for RECORD itself.
std::string record_line(const std::string& name, const std::string& sha256,
                        const std::string& size);

}  // namespace sagebuild
