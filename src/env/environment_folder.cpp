#include "env/environment_folder.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarkerSchema = "sagebuild-env/1";

}  // namespace

fs::path environments_folder() { return cache_folder() / "envs"; }

fs::path environment_python(const fs::path& folder) { return folder / "bin" / "python"; }

fs::path environment_folder(const std::string& name) { return environments_folder() / name; }

fs::path environment_log(const std::string& name) {
  return environments_folder() / ("." + name + ".log");
}

FileLock lock_environment(const std::string& name, Reporter& report) {
  make_folders(environments_folder());
  return FileLock(environments_folder() / ("." + name + ".lock"), [&] {
    report.note(fmt::format("environment '{}' is in use by another sagebuild: waiting", name));
  });
}

fs::path lock_of_users(const std::string& name) {
  return environments_folder() / ("." + name + ".used");
}

FileLock wait_for_users(const std::string& name, Reporter& report) {
  return FileLock(lock_of_users(name), [&] {
    report.note(fmt::format("environment '{}' is used by a build: waiting for its end", name));
  });
}

fs::path marker_of(const fs::path& folder) { return folder / "sagebuild-env.json"; }

void write_marker(const fs::path& folder, const EnvironmentRequest& request,
                  const PythonEnv& python) {
  const nlohmann::json said = {
      {"schema", kMarkerSchema},
      {"python", python.version},
      {"torch", python.torch ? python.torch->version : ""},
      {"cuda", python.torch ? python.torch->cuda.text() : ""},
      {"index_url", redacted(request.index_url)},
  };
  write_file(marker_of(folder), said.dump(2) + "\n");
}

KeptEnvironment read_environment(const fs::path& folder) {
  KeptEnvironment kept{folder.filename().string(), folder, "", "", "", false, 0};
  const auto text = read_file_if_exists(marker_of(folder));
  if (!text) return kept;
  const auto said = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!said.is_object() || said.value("schema", "") != kMarkerSchema) return kept;
  kept.python = said.value("python", "");
  kept.torch = said.value("torch", "");
  kept.cuda = said.value("cuda", "");
  // Follows the link: the base Python may have been removed
  kept.complete = is_there(environment_python(folder));
  return kept;
}

void remove_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) return;
  throw Error(ErrorKind::failed, fmt::format("cannot remove '{}'", folder.string()),
              {error.message()}, "remove that folder by hand");
}

}  // namespace sagebuild
