#include "record.hpp"

#include <fmt/format.h>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  return "\"" + replaced(text, "\"", "\"\"") + "\"";
}

}  // namespace

std::string record_line(const std::string& name, std::string_view content) {
  return record_line(name, sha256(content).base64url(), std::to_string(content.size()));
}

std::string record_line(const std::string& name, const std::string& sha256,
                        const std::string& size) {
  return fmt::format("{},{}{},{}\n", csv_field(name), sha256.empty() ? "" : "sha256=", sha256,
                     size);
}

}  // namespace sagebuild
