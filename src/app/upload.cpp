#include "sagebuild/app/upload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/hub_session.hpp"
#include "app/wheel_files.hpp"
#include "sagebuild/app/inspect.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/index.hpp"
#include "sagebuild/model/provenance.hpp"
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

void set_text(json& row, const char* key, const std::string& text) {
  if (!text.empty()) row[key] = text;
}

// The row of wheels.json: what the name says, made better by what the build wrote into the wheel.
json facts_of(const SoundWheel& wheel, const std::string& repo_path) {
  json row = row_from_name(repo_path);
  if (const auto needs = metadata_field(wheel.metadata, "Requires-Python"))
    row["requires_python"] = *needs;
  if (!wheel.provenance) return row;
  const auto made = read_provenance(*wheel.provenance);
  if (!made) return row;
  set_text(row, "cuda", made->cuda);
  set_text(row, "torch", made->torch);
  set_text(row, "source", made->url);
  set_text(row, "commit", made->commit);
  set_text(row, "sagebuild", made->sagebuild);
  if (!made->archs.empty()) row["architectures"] = split(made->archs, " ");
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

void add_files(PublishRequest& request, const std::vector<WheelFile>& files, bool unverified,
               Reporter& report) {
  report.stage("checking " + counted(files.size(), "wheel"));
  for (const WheelFile& file : files) {
    const std::string name(name_of_path(file.repo_path));
    const FileStamp before = stamp_of(file.path);
    const SoundWheel wheel = require_sound_wheel(file.path, name, throw_if_interrupted);
    const std::string hint = "`sagebuild verify` says more; --unverified sends it all the same";
    require_verified(file.path, {Policy::publish, available_cores(), unverified, hint, name},
                     report);
    request.files.push_back({file.path, file.repo_path, facts_of(wheel, file.repo_path), before});
    request.description += described(request.files.back().facts, name);
    report.detail(fmt::format("{} ({})", name, human_size(size_of_file(file.path))));
  }
}

PublishRequest request_of(const UploadSettings& settings, const std::string& summary) {
  PublishRequest request = commit_request(settings, summary);
  request.create = settings.create;
  request.is_private = settings.is_private;
  request.public_ok = settings.public_ok;
  request.sdk = settings.sdk;
  request.kept_uploads = settings.kept_uploads;
  return request;
}

PublishedWheel shown_wheel(const PublishedFile& file, const PublishOutcome& published,
                           const UploadSettings& settings) {
  PublishedWheel wheel{file, "", "", "", ""};
  if (published.commit.empty()) return wheel;
  wheel.url = resolve_url(settings.endpoint, parse_repo_id(published.repo), published.commit,
                          file.repo_path);
  if (published.is_private) {
    // Installers cannot be given a token for one address that redirects to another; curl sends it
    // to the first host only.
    const std::string name = std::string(name_of_path(file.repo_path));
    const std::string fetch =
        fmt::format("curl -fL -H \"Authorization: Bearer $HF_TOKEN\" -o {} {}", shell_quoted(name),
                    shell_quoted(wheel.url));
    const std::string install = "pip install " + shell_quoted("./" + name);
    wheel.pip = fmt::format("{} && {}", fetch, install);
    wheel.uv = fmt::format("{} && uv {}", fetch, install);
    wheel.dockerfile =
        fmt::format("RUN --mount=type=secret,id=hf_token,env=HF_TOKEN {} && {}", fetch, install);
    return wheel;
  }
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
    const auto document = parse_json(*text).value;
    if (document && document->is_object()) {
      for (const json& name : document->value("wheels", json::array())) {
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
  HubSession session(settings, report);
  require_access(session.api(), request_of(settings, ""));
}

UploadOutcome upload(const UploadSettings& settings, Reporter& report) {
  const auto begin = std::chrono::steady_clock::now();
  refuse_offline();
  const auto files = wheel_files(settings);
  PublishRequest request = request_of(
      settings, files.size() == 1 ? fmt::format("Add {}", name_of_path(files.front().repo_path))
                                  : "Add " + counted(files.size(), "wheel"));
  add_files(request, files, settings.unverified, report);

  HubSession session(settings, report);
  UploadOutcome outcome;
  outcome.published = publish(session.api(), request, report);
  const PublishOutcome& published = outcome.published;
  for (const PublishedFile& file : published.files)
    outcome.wheels.push_back(shown_wheel(file, published, settings));
  outcome.repo_url = settings.endpoint + web_path(parse_repo_id(published.repo));
  if (!published.commit.empty())
    outcome.commit_url = outcome.repo_url + "/commit/" + published.commit;
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return outcome;
}

}  // namespace sagebuild
