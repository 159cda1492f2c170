#include "sagebuild/base/error.hpp"

#include <fmt/format.h>

#include <system_error>

namespace sagebuild {

Error::Error(ErrorKind error_kind, std::string text, std::vector<std::string> reasons,
             std::string next_step, std::string log_path)
    : kind(error_kind),
      message(std::move(text)),
      causes(std::move(reasons)),
      hint(std::move(next_step)),
      log(std::move(log_path)) {}

std::string Error::rendered() const {
  std::string text = fmt::format("error: {}\n", message);
  for (const std::string& cause : causes) text += fmt::format("  caused by: {}\n", cause);
  if (!hint.empty()) text += fmt::format("\nhint: {}\n", hint);
  if (!log.empty()) text += fmt::format("log: {}\n", log);
  return text;
}

std::string errno_text(int number) { return std::generic_category().message(number); }

}  // namespace sagebuild
