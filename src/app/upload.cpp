#include "sagebuild/app/upload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sagebuild/app/inspect.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/index.hpp"
#include "sagebuild/hub/token.hpp"
#include "sagebuild/model/version.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;
constexpr const char* kLastBuild = ".sagebuild-last.json";

void set_text(json& row, const char* key, const json& from, const char* pointer) {
  const std::string text = from.value(json::json_pointer(pointer), "");
  if (!text.empty()) row[key] = text;
}

// The row of wheels.json: what the name says, made better by what the build wrote into the wheel.
json facts_of(const SoundWheel& wheel, const std::string& repo_path) {
  json row = row_from_name(repo_path);
  if (const auto needs = metadata_field(wheel.metadata, "Requires-Python"))
    row["requires_python"] = *needs;
  if (!wheel.provenance) return row;
  const json made = json::parse(*wheel.provenance, nullptr, false);
  if (!made.is_object()) return row;
  try {
    set_text(row, "cuda", made, "/cuda/version");
    set_text(row, "torch", made, "/torch");
    set_text(row, "source", made, "/source/url");
    set_text(row, "commit", made, "/source/commit");
    set_text(row, "sagebuild", made, "/sagebuild");
    const std::string archs = made.value("archs", "");
    if (!archs.empty()) row["architectures"] = split(archs, " ");
  } catch (const json::exception&) {
    // Written by another version of sagebuild: what the name says has to do.
  }
  return row;
}

std::string described(const json& facts, const std::string& file_name) {
  std::string line = "- " + file_name;
  const auto add = [&](const char* label, const char* key) {
    if (facts.contains(key) && facts[key].is_string())
      line += fmt::format(", {} {}", label, facts[key].get<std::string>());
  };
  add("Python", "python");
  add("torch", "torch");
  add("CUDA", "cuda");
  if (facts.contains("architectures"))
    line += ", GPUs " + join(facts["architectures"].get<std::vector<std::string>>(), " ");
  add("from", "source");
  add("commit", "commit");
  return line + "\n";
}

void add_files(PublishRequest& request, const UploadSettings& settings, Reporter& report) {
  report.stage(fmt::format("checking {} {}", settings.files.size(),
                           settings.files.size() == 1 ? "wheel" : "wheels"));
  for (const auto& path : settings.files) {
    const std::string name = path.filename().string();
    if (!path_exists(path))
      throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", path.string()));
    const SoundWheel wheel = require_sound_wheel(path, throw_if_interrupted);
    const std::string hint = "`sagebuild verify` says more; --unverified sends it all the same";
    require_verified(path, {Policy::publish, available_cores(), settings.unverified, hint}, report);
    const std::string repo_path = settings.folder.empty() ? name : settings.folder + "/" + name;
    PublishFile file{path, repo_path, facts_of(wheel, repo_path)};
    request.description += described(file.facts, name);
    request.files.push_back(std::move(file));
    report.note(fmt::format("{} ({})", name, human_size(size_of_file(path))));
  }
  request.summary = settings.files.size() == 1
                        ? "Add " + settings.files.front().filename().string()
                        : fmt::format("Add {} wheels", settings.files.size());
}

HttpSettings http_for(const UploadSettings& settings, Reporter& report) {
  HttpSettings http = settings.http;
  http.user_agent = "sagebuild/" + program_version();
  http.tick = throw_if_interrupted;
  http.log = [&report](std::string_view line) { report.detail(line); };
  http.on_retry = [&report](const Request& request, const Response& response,
                            std::chrono::milliseconds wait) {
    report.note(fmt::format("{}; trying again in {}", sagebuild::described(request, response),
                            human_time(static_cast<double>(wait.count()) / 1000)));
  };
  return http;
}

void refuse_offline() {
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    const std::string value = lower(environment_value(name).value_or(""));
    if (value == "1" || value == "on" || value == "yes" || value == "true") {
      throw Error(ErrorKind::environment, fmt::format("{} forbids to talk to the Hub", name), {},
                  fmt::format("unset {}", name));
    }
  }
}

PublishedWheel shown_wheel(const PublishedFile& file, const PublishOutcome& published,
                           const UploadSettings& settings) {
  PublishedWheel wheel{file, "", "", "", ""};
  if (published.commit.empty()) return wheel;
  wheel.url = resolve_url(settings.endpoint, parse_repo_id(published.repo), published.commit,
                          file.repo_path);
  // Pip and uv hold the download against it
  const std::string checked = wheel.url + "#sha256=" + file.sha256.hex();
  wheel.pip = fmt::format("pip install \"{}\"", checked);
  wheel.uv = fmt::format("uv pip install \"{}\"", checked);
  wheel.dockerfile = fmt::format("RUN pip install --no-cache-dir \"{}\"", checked);
  return wheel;
}

}  // namespace

std::vector<std::filesystem::path> wheels_of_last_build(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> wheels;
  if (const auto text = read_file_if_exists(folder / kLastBuild)) {
    const json document = json::parse(*text, nullptr, false);
    if (document.is_object()) {
      for (const json& name : document.value("wheels", json::array())) {
        if (name.is_string()) wheels.push_back(folder / name.get<std::string>());
      }
    }
  }
  if (wheels.empty() && is_folder(folder)) {
    for (const auto& path : entries_of(folder)) {
      if (path.extension() == ".whl") wheels.push_back(path);
    }
  }
  std::ranges::sort(wheels);
  if (wheels.empty()) {
    throw Error(ErrorKind::usage, fmt::format("there is no wheel in '{}'", folder.string()), {},
                "run `sagebuild build` first, or name the files");
  }
  return wheels;
}

void remember_last_build(const std::filesystem::path& folder,
                         const std::vector<std::filesystem::path>& wheels) {
  json names = json::array();
  for (const auto& wheel : wheels) names.push_back(wheel.filename().string());
  write_file(folder / kLastBuild,
             json{{"schema", "sagebuild.last-build/1"}, {"wheels", names}}.dump(2) + "\n");
}

void require_upload_access(const UploadSettings& settings, Reporter& report) {
  refuse_offline();
  const HubToken token = find_hub_token(settings.token_file);
  HttpClient http(http_for(settings, report));
  HubApi api(http, settings.endpoint, token, settings.repo);
  if (api.may_write() || settings.create) return;
  throw no_repository(settings.repo);
}

UploadOutcome upload(const UploadSettings& settings, Reporter& report) {
  refuse_offline();
  PublishRequest request;
  request.branch = settings.branch;
  request.open_pull = settings.open_pull;
  request.create = settings.create;
  request.is_private = settings.is_private;
  request.force = settings.force;
  request.dry_run = settings.dry_run;
  add_files(request, settings, report);

  const HubToken token = find_hub_token(settings.token_file);
  if (!token.secret.empty()) report.detail(fmt::format("token from {}", token.origin));
  HttpClient http(http_for(settings, report));
  HubApi api(http, settings.endpoint, token, settings.repo);
  UploadOutcome outcome{publish(api, request, report), {}};
  for (const PublishedFile& file : outcome.published.files) {
    outcome.wheels.push_back(shown_wheel(file, outcome.published, settings));
  }
  return outcome;
}

}  // namespace sagebuild
