#include "sagebuild/hub/token.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

// "~/x" as HF_TOKEN_PATH may be written in a file that no shell reads.
std::filesystem::path expanded(const std::string& path) {
  return path.starts_with("~/") ? home_folder() / path.substr(2) : std::filesystem::path(path);
}

std::filesystem::path login_file() {
  if (const auto path = environment_value("HF_TOKEN_PATH")) return expanded(*path);
  if (const auto home = environment_value("HF_HOME")) return expanded(*home) / "token";
  if (const auto cache = environment_value("XDG_CACHE_HOME"))
    return expanded(*cache) / "huggingface" / "token";
  return home_folder() / ".cache" / "huggingface" / "token";
}

void leave_no_core_file() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);  // a core pattern that pipes to a program ignores the limit
}

// The last resort: a Hub behind HF_ENDPOINT may take it in place of a token.
HubToken login_of_endpoint() {
  auto url = parse_url(environment_value("HF_ENDPOINT").value_or(""));
  if (!url) return {};
  Login login = login_of(std::move(*url));
  if (login.secret.empty()) return {};
  leave_no_core_file();
  return {std::move(login.secret), std::move(login.user), "HF_ENDPOINT"};
}

// What the user named must be there and readable.
std::string text_of_token_file(const std::filesystem::path& file) {
  if (is_folder(file))
    throw Error(ErrorKind::usage, fmt::format("'{}' is a folder, not a token file", file.string()),
                {}, "name the file that holds the token");
  try {
    if (auto text = read_file_if_exists(file)) return std::move(*text);
  } catch (Error& error) {
    error.kind = ErrorKind::usage;
    throw;
  }
  throw Error(ErrorKind::usage, fmt::format("there is no token file '{}'", file.string()));
}

}  // namespace

std::optional<HubToken> read_hub_token(std::string_view text, std::string origin) {
  const std::string_view value = trimmed(text);
  if (value.empty()) return std::nullopt;
  const bool printable = std::ranges::all_of(value, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable)
    throw Error(ErrorKind::usage,
                fmt::format("the token in {} holds blanks or control characters", origin));
  leave_no_core_file();
  return HubToken{Secret(std::string(value)), "", std::move(origin)};
}

HubToken find_hub_token(const std::optional<std::filesystem::path>& token_file) {
  if (token_file) {
    const std::string origin = fmt::format("the file '{}'", token_file->string());
    if (auto token = read_hub_token(text_of_token_file(*token_file), origin))
      return std::move(*token);
    throw Error(ErrorKind::usage,
                fmt::format("the token file '{}' is empty", token_file->string()));
  }
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (const auto value = environment_value(name)) {
      if (auto token = read_hub_token(*value, name)) return std::move(*token);
    }
  }
  const auto file = login_file();
  if (const auto text = read_file_if_exists(file)) {
    if (auto token = read_hub_token(*text, fmt::format("the file '{}'", file.string())))
      return std::move(*token);
  }
  return login_of_endpoint();
}

}  // namespace sagebuild
