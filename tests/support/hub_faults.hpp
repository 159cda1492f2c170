#pragma once
// Faults for the test Hub (tests/hub/testhub/faults.py), in few words.

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

namespace sagebuild {

inline nlohmann::json fault(const std::string& endpoint, const std::string& phase,
                            const std::string& action,
                            nlohmann::json more = nlohmann::json::object()) {
  more["endpoint"] = endpoint;
  more["phase"] = phase;
  more["action"] = action;
  return more;
}

inline nlohmann::json status(const std::string& endpoint, int code,
                             nlohmann::json more = nlohmann::json::object()) {
  more["status"] = code;
  return fault(endpoint, more.value("phase", "before"), "status", more);
}

inline std::string s3_error(const std::string& code, const std::string& message) {
  return fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
                     code, message);
}

}  // namespace sagebuild
