#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

Environment current_environment() {
  Environment env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      env.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  for (const char* token : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_ID_TOKEN"})
    env.erase(token);
  return env;
}

Environment clean_environment() {
  constexpr std::array kPassed = {"PATH",
                                  "HOME",
                                  "USER",
                                  "LOGNAME",
                                  "TMPDIR",
                                  "LD_LIBRARY_PATH",
                                  "XDG_CACHE_HOME",
                                  "http_proxy",
                                  "https_proxy",
                                  "HTTP_PROXY",
                                  "HTTPS_PROXY",
                                  "no_proxy",
                                  "NO_PROXY",
                                  "all_proxy",
                                  "ALL_PROXY",
                                  "SSL_CERT_FILE",
                                  "SSL_CERT_DIR",
                                  "SOURCE_DATE_EPOCH",
                                  "OPENBLAS_CORETYPE"};
  Environment env;
  for (const auto& [name, value] : current_environment()) {
    // pip's and uv's own settings say where packages come from.
    if (std::ranges::find(kPassed, name) != kPassed.end() || name.starts_with("PIP_") ||
        name.starts_with("UV_")) {
      env.emplace(name, value);
    }
  }
  // Empty is unset for us, and a fault for gcc and for Python's wheel.
  if (!environment_value("SOURCE_DATE_EPOCH")) env.erase("SOURCE_DATE_EPOCH");
  env.insert_or_assign("LC_ALL", "C");
  env.insert_or_assign("NO_COLOR", "1");
  env.insert_or_assign("CLICOLOR", "0");
  env.insert_or_assign("PYTHONHASHSEED", "0");
  return env;
}

std::optional<std::filesystem::path> find_program(std::string_view name,
                                                  std::string_view path_list) {
  const auto runnable = [](const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string_view::npos) {
    return runnable(name) ? std::optional<std::filesystem::path>(name) : std::nullopt;
  }
  for (const std::string_view folder : split(path_list, ":")) {
    std::filesystem::path path = std::filesystem::path(folder) / name;
    if (runnable(path)) return path;
  }
  return std::nullopt;
}

std::optional<std::filesystem::path> find_program(std::string_view name) {
  return find_program(name, environment_value("PATH").value_or("/usr/bin:/bin"));
}

}  // namespace sagebuild
